"""What an owner may have: runs that wait, and attempts at work.

A quota of its own overrides the settings, each figure for itself. How many may be at work is kept
by the planner (`limits`); how many may wait is kept here, when runs are submitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from gyoza.models import OpRun
from gyoza.server.errors import InvalidInput, QuotaExceeded, QuotaNotFound, ServerError
from gyoza.server.settings import Settings
from gyoza.server.storage.records import Quota
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.limits import at_work
from gyoza.wire.messages import Fault, JsonObject, PutQuota

MAX_OWNER_CHARS: Final = 128
MAX_FIGURE: Final = 2**31 - 1
_COUNTED: Final = 10_000


class QueueQuotas:
    """Counts what the submits of one transaction add to what waits.

    Args:
        uow: The transaction's unit of work; none of the runs is stored yet.
        settings: The quota of owners without one of their own.
    """

    def __init__(self, uow: UnitOfWork, settings: Settings) -> None:
        self._uow = uow
        self._settings = settings
        self._most: dict[str | None, int | None] = {}
        self._has: Counter[str | None] = Counter()

    def take(self, owner: str | None) -> None:
        """Count one more run of an owner.

        Raises:
            QuotaExceeded: As many wait as may.
        """
        if owner not in self._most:
            self._look(owner)
        most = self._most[owner]
        if most is not None and self._has[owner] >= most:
            raise QuotaExceeded(owner, self._has[owner], most)
        self._has[owner] += 1

    def sifted(self, made: Sequence[OpRun | ServerError]) -> list[OpRun | ServerError]:
        """Count the runs of a batch in order; whoever is over the quota becomes its refusal."""
        return [self._or_refusal(each) for each in made]

    def _or_refusal(self, made: OpRun | ServerError) -> OpRun | ServerError:
        if isinstance(made, OpRun):
            try:
                self.take(made.owner)
            except QuotaExceeded as error:
                return error
        return made

    def _look(self, owner: str | None) -> None:
        quota = None if owner is None else self._uow.quotas.find(owner)
        most = self._settings.owner_max_queued
        if quota is not None and quota.max_queued is not None:
            most = quota.max_queued
        self._most[owner] = most
        if most is not None:
            self._has[owner] = self._uow.quotas.queued(owner, most)


def put_quota(uow: UnitOfWork, command: PutQuota, settings: Settings) -> JsonObject:
    """Give an owner a quota of its own and return it with what the owner has.

    Raises:
        InvalidInput: The owner or a figure makes no sense.
    """
    faults = _faults(command)
    if faults:
        raise InvalidInput(faults)
    uow.quotas.put(Quota(command.owner, command.max_queued, command.max_active))
    uow.wake("dispatch")
    return get_quota(uow, command.owner, settings)


def get_quota(uow: UnitOfWork, owner: str, settings: Settings) -> JsonObject:
    """Return an owner's quota, of its own or by the settings, and what the owner has."""
    own = uow.quotas.find(owner)
    return _document(uow, own or Quota(owner), settings, at_work(uow).owners)


def list_quotas(uow: UnitOfWork, settings: Settings) -> JsonObject:
    """Return the quotas that owners have of their own, and those of all others."""
    active = at_work(uow).owners
    return {
        "items": [_document(uow, each, settings, active) for each in uow.quotas.list()],
        "defaults": {
            "max_queued": settings.owner_max_queued,
            "max_active": settings.owner_max_active,
        },
    }


def remove_quota(uow: UnitOfWork, owner: str) -> None:
    """Leave an owner to the settings.

    Raises:
        QuotaNotFound: It has no quota of its own.
    """
    if not uow.quotas.remove(owner):
        raise QuotaNotFound(owner)
    uow.wake("dispatch")


def _document(
    uow: UnitOfWork, quota: Quota, settings: Settings, active: Counter[str | None]
) -> JsonObject:
    queued, at_work = quota.max_queued, quota.max_active
    most = settings.owner_max_queued if queued is None else queued
    return {
        "owner": quota.owner,
        "max_queued": most,
        "max_active": settings.owner_max_active if at_work is None else at_work,
        "queued": uow.quotas.queued(quota.owner, max(_COUNTED, most or 0)),
        "active": active[quota.owner],
    }


def _faults(command: PutQuota) -> list[Fault]:
    faults: list[Fault] = []
    if not 0 < len(command.owner) <= MAX_OWNER_CHARS:
        message = f"got {len(command.owner)} characters, expected 1 to {MAX_OWNER_CHARS}"
        faults.append(Fault(pointer="/owner", message=message))
    figures: dict[str, Any] = {"max_queued": command.max_queued, "max_active": command.max_active}
    for name, value in figures.items():
        if value is not None and not 0 <= value <= MAX_FIGURE:
            message = f"got {value}, expected 0 to {MAX_FIGURE}, or null for the server's default"
            faults.append(Fault(pointer=f"/{name}", message=message))
    if command.max_queued is None and command.max_active is None:
        message = "says nothing; expected max_queued, max_active or both"
        faults.append(Fault(pointer="", message=message))
    return faults

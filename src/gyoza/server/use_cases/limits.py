"""What holds runs back whatever room there is: paused ops, and how many may be at work at once.

Read for the planner, which keeps to it; and counted again when its plan is applied, because another
dispatcher may have placed something meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

from gyoza.models import OpRun
from gyoza.server.scheduling.snapshot import Limits
from gyoza.server.settings import Settings
from gyoza.server.storage.lanes import Barred, key_of
from gyoza.server.storage.records import Reservation
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.concurrency import limit_of


def read_limits(
    uow: UnitOfWork, settings: Settings, reserved: Mapping[str, Sequence[Reservation]]
) -> Limits:
    """Read the limits that are set, those of owners without a quota only where they have work.

    Args:
        uow: The unit of work.
        settings: The quota of owners without one of their own.
        reserved: All unfreed reservations, by worker.
    """
    of_ops = uow.definitions.limits()
    most = {op: each.max_parallel for op, each in of_ops.items()}
    of_owners = {each.owner: each.max_active for each in uow.quotas.list()}
    limits = Limits(
        paused=frozenset(op for op, each in of_ops.items() if each.paused),
        op_most={op: count for op, count in most.items() if count is not None},
        owner_most={owner: count for owner, count in of_owners.items() if count is not None},
    )
    holders = (each.holder for some in reserved.values() for each in some)
    return with_owners(limits, (each.owner for each in holders if each is not None), settings)


def with_owners(limits: Limits, owners: Iterable[str | None], settings: Settings) -> Limits:
    """Return the limits with the settings' one for these owners, where they have none."""
    most = settings.owner_max_active
    if most is None:
        return limits
    usual: dict[str | None, int] = dict.fromkeys(owners, most)
    return replace(limits, owner_most={**usual, **limits.owner_most})


def barred(limits: Limits, reserved: Mapping[str, Sequence[Reservation]]) -> Barred:
    """Return the lanes that cannot move as things are, which a plan need not look at.

    Args:
        limits: The limits.
        reserved: All unfreed reservations, by worker.
    """
    holders = [each.holder for some in reserved.values() for each in some if each.holder]
    ops = Counter(each.op for each in holders if each.op is not None)
    owners = Counter(each.owner for each in holders)
    full = {op for op, most in limits.op_most.items() if ops[op] >= most}
    sated = {owner for owner, most in limits.owner_most.items() if owners[owner] >= most}
    return Barred(limits.paused | full, sated)


class AtWork(NamedTuple):
    """How many attempts are at work, lost ones among them.

    Attributes:
        ops: By op id; None are ad hoc images.
        owners: By owner.
    """

    ops: Counter[str | None]
    owners: Counter[str | None]


def at_work(uow: UnitOfWork) -> AtWork:
    """Count what is at work."""
    found = AtWork(Counter(), Counter())
    for op, owner, count in uow.assignments.at_work():
        found.ops[op] += count
        found.owners[owner] += count
    return found


class Guards:
    """The limits as a transaction finds them that applies a plan.

    Args:
        uow: The unit of work; nothing of the plan is written yet.
        settings: The quota of owners without one of their own.
    """

    def __init__(self, uow: UnitOfWork, settings: Settings) -> None:
        self._uow = uow
        self._limits = read_limits(uow, settings, {})
        self._usual = settings.owner_max_active
        self._keys: Counter[str] = Counter()

    def key_is_full(self, run: OpRun) -> bool:
        """Whether as many hold the run's concurrency key as may, lost attempts among them."""
        key = key_of(run)
        if key is None:
            return False
        if key not in self._keys:
            self._keys[key] = self._uow.concurrency.held(key)
        return self._keys[key] >= limit_of(run)

    def admit(self, run: OpRun) -> bool:
        """Count a run that is about to be assigned; False when a limit does not let it."""
        op, owner = run.op_definition, run.owner
        if op in self._limits.paused:
            return False
        op_most = None if op is None else self._limits.op_most.get(op)
        owner_most = self._limits.owner_most.get(owner, self._usual)
        if op_most is not None and self._at_work.ops[op] >= op_most:
            return False
        if owner_most is not None and self._at_work.owners[owner] >= owner_most:
            return False
        self._count(run)
        return True

    def _count(self, run: OpRun) -> None:
        # Looking costs a query; who asked for nothing that is limited causes none.
        if self._limits.op_most or self._limits.owner_most or self._usual is not None:
            self._at_work.ops[run.op_definition] += 1
            self._at_work.owners[run.owner] += 1
        key = key_of(run)
        if key is not None:
            self._keys[key] += 1

    @cached_property
    def _at_work(self) -> AtWork:
        return at_work(self._uow)

"""What owners had of the fleet lately, so that a burst of one costs it its next turns.

A moving average whose weight halves every `fair_share_half_life_s`, sampled from what is held. It
decides between owners who want the same; what it does to their turns is in `scheduling/turns.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from gyoza.server.scheduling.turns import Shares
from gyoza.server.settings import Settings
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.worker_states import worker_snapshot

SAMPLE_S: Final = 30.0
# Half of what the order of turns can tell from nothing.
_WORTH_KEEPING: Final = 1 / 128


def used_lately(uow: UnitOfWork, settings: Settings) -> dict[str | None, float]:
    """Return which part of the fleet owners had lately, from 0 to 1, as of now."""
    now = uow.now()
    return {
        owner: use.used * _weight(now - use.at, settings)
        for owner, use in uow.owner_use.all().items()
    }


def is_use_worth_a_sample(uow: UnitOfWork) -> bool:
    """Whether anybody holds or lately held anything: an idle server writes nothing."""
    return bool(uow.owner_use.all()) or any(uow.assignments.reserved_by_worker().values())


def sample_use(uow: UnitOfWork, settings: Settings) -> None:
    """Take what owners hold now into account; a sample taken by another server is enough."""
    known = uow.owner_use.all()
    last = max((use.at for use in known.values()), default=None)
    now = uow.now()
    since = timedelta(seconds=SAMPLE_S) if last is None else now - last
    if since < timedelta(seconds=SAMPLE_S / 2):
        return
    weight = _weight(since, settings)
    held = _held(uow, settings, now)
    before = {owner: use.used for owner, use in known.items()}
    uow.owner_use.replace(_mixed(before, held, weight))


def _mixed(
    before: Mapping[str | None, float], held: Mapping[str | None, float], weight: float
) -> dict[str | None, float]:
    mixed = {
        owner: before.get(owner, 0.0) * weight + held.get(owner, 0.0) * (1 - weight)
        for owner in (*before, *(owner for owner in held if owner not in before))
    }
    return {owner: part for owner, part in mixed.items() if owner in held or part >= _WORTH_KEEPING}


def _held(uow: UnitOfWork, settings: Settings, now: datetime) -> dict[str | None, float]:
    reserved = uow.assignments.reserved_by_worker()
    workers = (
        worker_snapshot(worker, reserved.get(worker.id, ()), now, settings)
        for worker in uow.workers.list()
    )
    return Shares(workers, {}).held()


def _weight(age: timedelta, settings: Settings) -> float:
    # A clock that was set back makes no use grow.
    return 0.5 ** (max(0.0, age.total_seconds()) / settings.fair_share_half_life_s)

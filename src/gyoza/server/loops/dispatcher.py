"""Assigning runs the moment there is a run and room for it.

Woken by `dispatch` (a run was submitted, released or retried; a place became free; a worker came),
or when a delayed run becomes due. It reads a snapshot, plans, and applies the plan in portions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from gyoza.server.clock import Clock
from gyoza.server.scheduling.planner import Plan, plan
from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.dispatch import apply_placements, read_snapshot
from gyoza.server.use_cases.preemption import apply_evictions

_log = structlog.stdlib.get_logger("gyoza.server.loops")
# Behind the wakeups: another server's work is seen at the latest so many seconds later.
_POLL_S: Final = 5.0
_AGAIN_S: Final = 0.05
_SHORTEST_S: Final = 0.01
# One portion keeps the only writer for a few milliseconds.
_PORTION: Final = 200


@dataclass(frozen=True, slots=True)
class _Look:
    now: datetime
    plan: Plan
    next_due: datetime | None


class Dispatcher:
    """One tick assigns everything that fits.

    Args:
        store: The database.
        settings: Window and lease.
        clock: Says when a delayed run becomes due.
    """

    name = "dispatcher"
    topic: str | None = "dispatch"

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def tick(self) -> float:
        """Plan and apply; returns the seconds until the next delayed run is due, at most 5."""
        look = await self._store.read(self._look)
        if look.next_due is not None and look.next_due <= look.now:
            await self._store.write(lambda uow: uow.runs.ripen(look.now))
            look = await self._store.read(self._look)
        places = look.plan.placements
        assigned = 0
        for start in range(0, len(places), _PORTION):
            portion = places[start : start + _PORTION]
            assigned += len(
                await self._store.write(
                    lambda uow, portion=portion: apply_placements(uow, portion, self._settings)
                )
            )
        displaced = await self._displace(look.plan)
        if places:
            _log.debug("dispatched", assigned=assigned, waiting=len(look.plan.unplaced))
        if assigned < len(places) or displaced < len(look.plan.evictions):
            return _AGAIN_S  # something changed between the look and the writing: look again
        return self._until_due(look)

    async def _displace(self, made: Plan) -> int:
        if not made.evictions:
            return 0
        given = await self._store.write(lambda uow: apply_evictions(uow, made.evictions))
        _log.info("asked to give way", runs=given)
        return len(given)

    def _look(self, uow: UnitOfWork) -> _Look:
        made = plan(read_snapshot(uow, self._settings))
        return _Look(uow.now(), made, uow.runs.next_due())

    def _until_due(self, look: _Look) -> float:
        due = look.next_due
        if due is None:
            return _POLL_S
        left_s = (due - self._clock.now()).total_seconds()
        return min(max(left_s, _SHORTEST_S), _POLL_S)

"""Looking after runs that nobody reports on: timeouts, unclaimed assignments, lost workers.

Leases count silence, and silence may be the server's own: after it started, and after any gap in
its own ticking, no lease expires for a while, so that a restart does not cost every running job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from gyoza.server.clock import Clock
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.leases import (
    BATCH,
    end_overdue,
    expire_leases,
    look_for_troubles,
    release_unacknowledged,
)
from gyoza.server.use_cases.outside import Outside

_log = structlog.stdlib.get_logger("gyoza.server.loops")


class Rescuer:
    """One tick rescues up to a batch of each kind.

    Args:
        store: The database.
        outside: Settings, and the jitter of retries.
        clock: Shows gaps in the ticking.
    """

    name = "rescuer"
    topic: str | None = None

    def __init__(self, store: Store, outside: Outside, clock: Clock) -> None:
        self._store = store
        self._outside = outside
        self._clock = clock
        self._ticked_at: _Moment | None = None
        self._amnesty_until = 0.0

    @property
    def grants_amnesty(self) -> bool:
        """Whether no lease expires at present."""
        return self._clock.monotonic() < self._amnesty_until

    async def tick(self) -> float:
        """Rescue what is due; returns the seconds until the next look."""
        self._notice_gap()
        troubles = await self._store.read(lambda uow: look_for_troubles(uow, self._outside))
        ended = await self._store.write(end_overdue) if troubles.overdue else 0
        # Nobody works on an unclaimed assignment, so giving it back needs no amnesty.
        released = await self._rescue(release_unacknowledged) if troubles.unacknowledged else 0
        may_expire = troubles.expired and not self.grants_amnesty
        lost = await self._rescue(expire_leases) if may_expire else 0
        if ended or released or lost:
            _log.info("rescued", ended=ended, released=released, lost=lost)
        # A tick that takes long is no gap: the next one counts from its end.
        self._ticked_at = self._moment()
        return 0.0 if BATCH in {released, lost} else self._outside.settings.rescue_interval_s

    async def _rescue(self, rescue: Callable[[UnitOfWork, Outside], int]) -> int:
        return await self._store.write(lambda uow: rescue(uow, self._outside))

    def _notice_gap(self) -> None:
        now, settings = self._moment(), self._outside.settings
        started = self._ticked_at is None
        if started or now.since(self._ticked_at or now) > settings.amnesty_after_gap_s:
            self._amnesty_until = now.monotonic_s + settings.amnesty_s
            why = "start" if started else "a gap in the server's own ticking"
            _log.info("no lease expires for a while", after=why, seconds=settings.amnesty_s)
        self._ticked_at = now

    def _moment(self) -> _Moment:
        return _Moment(self._clock.monotonic(), self._clock.now())


@dataclass(frozen=True, slots=True)
class _Moment:
    """A moment by both clocks: one stands still while the machine sleeps, the other can be set."""

    monotonic_s: float
    wall: datetime

    def since(self, before: _Moment) -> float:
        """Seconds, by the clock that says more of them."""
        wall_s = (self.wall - before.wall).total_seconds()
        return max(self.monotonic_s - before.monotonic_s, wall_s)

"""Looking after runs that nobody reports on: timeouts, unclaimed assignments, lost workers.

Any number of rescuers may run, in any number of servers: each look is without consequence, and each
deed looks again in its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

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
from gyoza.server.use_cases.patience import tick

_log = structlog.stdlib.get_logger("gyoza.server.loops")
T = TypeVar("T")


class Rescuer:
    """One tick rescues up to a batch of each kind.

    Args:
        store: The database.
        outside: Settings, and the jitter of retries.
    """

    name = "rescuer"
    topic: str | None = None

    def __init__(self, store: Store, outside: Outside) -> None:
        self._store = store
        self._outside = outside

    async def tick(self) -> float:
        """Rescue what is due; returns the seconds until the next look."""
        troubles = await self._store.read(lambda uow: look_for_troubles(uow, self._outside))
        if troubles.tick:
            await self._do(tick)
        ended = await self._store.write(end_overdue) if troubles.overdue else 0
        # Nobody works on an unclaimed assignment, so giving it back needs no amnesty.
        released = await self._do(release_unacknowledged) if troubles.unacknowledged else 0
        lost = await self._do(expire_leases) if troubles.expired else 0
        if ended or released or lost:
            _log.info("rescued", ended=ended, released=released, lost=lost)
        return 0.0 if BATCH in {released, lost} else self._outside.settings.rescue_interval_s

    async def _do(self, deed: Callable[[UnitOfWork, Outside], T]) -> T:
        return await self._store.write(lambda uow: deed(uow, self._outside))

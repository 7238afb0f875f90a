"""Settling what a transaction left over: runs that still wait for one that has ended.

The transaction that ends a run settles up to 500 who wait for it and announces `dependents` when
there may be more. Looking for them costs a step per awaited run, so it is done when that was
announced and when a server starts, not all the time.
"""

from __future__ import annotations

from typing import Final

from gyoza.server.storage.store import Store

# Behind the announcements: what was left by another server that died before it could announce.
_POLL_S: Final = 300.0
_ENDED_AT_ONCE: Final = 100


class Settler:
    """One tick has one transaction's portion settled.

    Args:
        store: The database.
    """

    name = "settler"
    topic: str | None = "dependents"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tick(self) -> float:
        """Settle; returns 0 seconds while there may be more."""
        # Found by a reader: the walk is too long for the one writer.
        over = await self._store.read(lambda uow: uow.dependencies.left_over(_ENDED_AT_ONCE))
        if not over:
            return _POLL_S
        await self._store.write(lambda uow: uow.dependencies.take_up(over))
        return 0.0

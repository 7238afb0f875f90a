"""Forgetting what is kept for a time only: answers to repeated requests, and ended runs.

In portions, so that the one writer is never held for long.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork

_log = structlog.stdlib.get_logger("gyoza.server.loops")


class Pruner:
    """One tick removes one portion of each kind.

    Args:
        store: The database.
        settings: How long things are kept.
    """

    name = "pruner"
    topic: str | None = None

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def tick(self) -> float:
        """Prune; returns 0 seconds while there may be more."""
        answers = await self._store.write(self._prune_answers)
        runs = await self._store.write(self._prune_runs)
        if answers or runs:
            _log.info("pruned", answers=answers, runs=runs)
        more = max(answers, runs) >= self._settings.prune_batch
        return 0.0 if more else self._settings.prune_interval_s

    def _prune_answers(self, uow: UnitOfWork) -> int:
        before = uow.now() - timedelta(hours=self._settings.idempotency_hours)
        return uow.idempotency.prune(before, self._settings.prune_batch)

    def _prune_runs(self, uow: UnitOfWork) -> int:
        before = uow.now() - timedelta(days=self._settings.retention_days)
        return uow.runs.prune_ended(before, self._settings.prune_batch)

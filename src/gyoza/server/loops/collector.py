"""Removing files that nobody needs: those no run names, those no row names, broken uploads.

The row goes first and the file after it, each under a guard of its own: the row while no run names
it and nobody has used it, the file while no row names it. A crash in between leaves a file without
a row, which the sweep finds; an upload in between writes a row, which spares the file.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from gyoza.server.clock import Clock
from gyoza.server.settings import Settings
from gyoza.server.storage.artifact_files import ArtifactFiles
from gyoza.server.storage.store import Store

_log = structlog.stdlib.get_logger("gyoza.server.loops")


class Collector:
    """One tick removes one portion of what no run names.

    Args:
        store: The database.
        files: The bytes.
        settings: How long files are spared.
        clock: Tells when the next sweep is due.
    """

    name = "collector"
    topic: str | None = None

    def __init__(
        self, store: Store, files: ArtifactFiles, settings: Settings, clock: Clock
    ) -> None:
        self._store = store
        self._files = files
        self._settings = settings
        self._clock = clock
        self._next_sweep = clock.monotonic()

    async def tick(self) -> float:
        """Collect; returns 0 seconds while there may be more."""
        settings = self._settings
        before = self._clock.now() - timedelta(hours=settings.artifact_grace_hours)
        unnamed = await self._forget_unnamed(before)
        uploads = await self._files.expire_uploads(
            self._clock.now() - timedelta(hours=settings.upload_hours)
        )
        orphans = 0
        if self._clock.monotonic() >= self._next_sweep:
            orphans = await self._sweep(before)
            self._next_sweep = self._clock.monotonic() + settings.sweep_interval_s
        if unnamed or uploads or orphans:
            _log.info("collected", artifacts=unnamed, uploads=uploads, orphans=orphans)
        return 0.0 if unnamed >= settings.prune_batch else settings.prune_interval_s

    async def _forget_unnamed(self, before: datetime) -> int:
        limit = self._settings.prune_batch
        found = await self._store.read(lambda uow: uow.artifacts.unnamed(before, limit))
        removed = 0
        for sha256 in found:
            removed += await self._forget(sha256, before)
        return removed

    async def _forget(self, sha256: str, before: datetime) -> bool:
        forgotten = await self._store.write(lambda uow: uow.artifacts.forget(sha256, before))
        return forgotten and await self._remove(sha256)

    async def _sweep(self, before: datetime) -> int:
        removed = 0
        async for portion in self._files.list():
            old = [each.sha256 for each in portion if each.stored_at < before]
            known = await self._store.read(lambda uow, old=old: uow.artifacts.sizes(old))
            for sha256 in old:
                if sha256 not in known:
                    removed += await self._remove(sha256)
        return removed

    async def _remove(self, sha256: str) -> bool:
        async def is_known() -> bool:
            found = await self._store.read(lambda uow: uow.artifacts.find(sha256))
            return found is not None

        return await self._files.remove(sha256, is_known)

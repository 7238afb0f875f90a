"""The bytes of artifacts: received piece by piece, verified, then stored complete or not at all.

Puts `artifact_uploads` (on the way in) and an `artifact_store` (at rest) together. What is known
about a file is in the database; a file and its row are added and removed under one lock per hash,
so that a removal cannot take away what an upload has just stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from gyoza.server.storage.artifact_store import ArtifactStore, StoredFile, is_sha256
from gyoza.server.storage.artifact_uploads import Upload, Uploads

T = TypeVar("T")
_PORTION: Final = 500


class ArtifactFiles:
    """All files of the server.

    Args:
        store: Where whole files are.
        uploads: What is on its way in.
    """

    def __init__(self, store: ArtifactStore, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads
        self._locks: dict[str, _SharedLock] = {}

    async def size(self, sha256: str) -> int | None:
        """Bytes of the stored file; None when there is none, or no such hash can be.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        return await asyncio.to_thread(self._store.size, sha256) if is_sha256(sha256) else None

    async def offset(self, sha256: str) -> int:
        """How many bytes of a file that is not stored yet have arrived."""
        return await asyncio.to_thread(self._uploads.offset, sha256)

    @asynccontextmanager
    async def receiving(
        self,
        sha256: str,
        chunks: AsyncIterable[bytes],
        *,
        offset: int | None = None,
        max_bytes: int | None = None,
    ) -> AsyncGenerator[Upload]:
        """Receive a file, or a part of one; when the sender goes away, what arrived is kept.

        Args:
            sha256: The hash that the sender named.
            chunks: The content.
            offset: Where the content begins; None is a whole file, whatever others have sent.
            max_bytes: Longest whole file; None sets no limit.

        Raises:
            ArtifactTooLarge: It is longer; nothing was kept.
            UploadOffset, UploadBusy: It cannot go on there.
            StoreUnavailable: The disk is full or not writable; nothing was kept.
            ValueError: The name is no SHA-256.
        """
        if offset is None:
            upload = await asyncio.to_thread(self._uploads.begin, sha256, max_bytes)
        else:
            upload = await asyncio.to_thread(self._uploads.resume, sha256, offset, max_bytes)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(upload.write, chunk)
            yield upload
        finally:
            await asyncio.to_thread(self._uploads.release, upload)

    async def keep(self, upload: Upload, note: Callable[[], Awaitable[T]]) -> T:
        """Store a received file if it is what its name says.

        Args:
            upload: With all bytes received.
            note: Writes the file's row, once the bytes are in place.

        Returns:
            What `note` gave.

        Raises:
            HashMismatch: The content has another hash; nothing was kept.
            StoreUnavailable: It cannot be stored.
        """
        await asyncio.to_thread(upload.finish)
        async with self._alone_with(upload.sha256):
            await asyncio.to_thread(self._store.adopt, upload.path, upload.sha256)
            upload.is_over = True
            return await note()

    async def remove(self, sha256: str, is_known: Callable[[], Awaitable[bool]]) -> bool:
        """Remove a file that no row names any more.

        Args:
            sha256: Its name.
            is_known: Tells whether a row names it after all, such as one of a new upload.

        Returns:
            Whether it was removed.
        """
        async with self._alone_with(sha256):
            if await is_known():
                return False
            await asyncio.to_thread(self._store.delete, sha256)
            return True

    async def read(self, sha256: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` to before `stop`, in pieces.

        Raises:
            StoreUnavailable: The file cannot be read.
        """
        pieces = self._store.read(sha256, start, stop)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    async def list(self) -> AsyncGenerator[list[StoredFile]]:
        """Yield every stored file, in portions.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        found = self._store.list()
        while portion := await asyncio.to_thread(_portion, found):
            yield portion

    async def expire_uploads(self, before: datetime) -> int:
        """Remove beginnings of files that nobody went on with since; returns how many."""
        return await asyncio.to_thread(self._uploads.expire, before.timestamp())

    @asynccontextmanager
    async def _alone_with(self, sha256: str) -> AsyncGenerator[None]:
        shared = self._locks.setdefault(sha256, _SharedLock())
        shared.users += 1
        try:
            async with shared.lock:
                yield
        finally:
            shared.users -= 1
            if not shared.users:
                del self._locks[sha256]


@dataclass(slots=True)
class _SharedLock:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


def _portion(found: Iterator[StoredFile]) -> list[StoredFile]:
    return list(islice(found, _PORTION))

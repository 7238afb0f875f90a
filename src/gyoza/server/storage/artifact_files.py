"""The bytes of artifacts: files named by the SHA-256 of their content, complete or absent.

A file is received under a temporary name, hashed on the way, flushed and only then renamed, so that
whoever finds a name finds all of its bytes, also after a power cut. What is known about a file is
in the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gyoza.server.errors import BodyTooLarge, HashMismatch, StoreUnavailable

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ArtifactFiles:
    """A folder of artifacts.

    Args:
        folder: Made when missing; what a killed server left half received in it is removed.

    Raises:
        StoreUnavailable: The folder cannot be made or read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        with _explained(folder):
            self._incoming.mkdir(parents=True, exist_ok=True)
            for left_over in self._incoming.iterdir():
                left_over.unlink()

    def path(self, sha256: str) -> Path:
        """Where the file is, or would be.

        Raises:
            ValueError: Not 64 lower-case hexadecimal digits.
        """
        if _SHA256.fullmatch(sha256) is None:
            raise ValueError(f"{sha256!r} is no SHA-256: expected 64 lower-case hexadecimal digits")
        return self._folder / sha256[:2] / sha256

    def find(self, sha256: str) -> Path | None:
        """Path of the stored file; None when there is none, or no such hash can be."""
        if _SHA256.fullmatch(sha256) is None:
            return None
        path = self.path(sha256)
        return path if path.is_file() else None

    async def save(
        self, sha256: str, chunks: AsyncIterable[bytes], *, max_bytes: int | None = None
    ) -> int:
        """Receive a file and keep it if it is what its name says.

        Args:
            sha256: The hash that the sender named.
            chunks: The content.
            max_bytes: Longest content; None sets no limit.

        Returns:
            Its size in bytes.

        Raises:
            HashMismatch: The content has another hash; nothing was kept.
            BodyTooLarge: It is longer; nothing was kept.
            StoreUnavailable: The disk is full or not writable; nothing was kept.
            ValueError: The name is no SHA-256.
        """
        with self._receiving(sha256, max_bytes) as incoming:
            async for chunk in chunks:
                await asyncio.to_thread(incoming.write, chunk)
            return await asyncio.to_thread(incoming.keep)

    def save_now(
        self, sha256: str, chunks: Iterable[bytes], *, max_bytes: int | None = None
    ) -> int:
        """Like `save`, without an event loop."""
        with self._receiving(sha256, max_bytes) as incoming:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.keep()

    @contextmanager
    def _receiving(self, sha256: str, max_bytes: int | None) -> Generator[_Incoming]:
        incoming = _Incoming(self._incoming, self.path(sha256), max_bytes)
        try:
            yield incoming
        finally:
            incoming.close()


class _Incoming:
    """A file on its way in."""

    def __init__(self, folder: Path, target: Path, max_bytes: int | None) -> None:
        self._folder = folder
        self._target = target
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size = 0
        with _explained(folder):
            # Unbuffered, so that closing it has nothing left to write on a full disk.
            descriptor, name = tempfile.mkstemp(dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise BodyTooLarge(self._max_bytes)
        self._hash.update(chunk)
        rest = memoryview(chunk)
        with _explained(self._folder):
            while rest:
                rest = rest[self._file.write(rest) :]

    def keep(self) -> int:
        actual = self._hash.hexdigest()
        if actual != self._target.name:
            raise HashMismatch(self._target.name, actual)
        with _explained(self._folder):
            os.fsync(self._file.fileno())
            made_folder = not self._target.parent.exists()
            self._target.parent.mkdir(exist_ok=True)
            self._path.replace(self._target)
            _flush_folder(self._target.parent)
            if made_folder:
                _flush_folder(self._target.parent.parent)
        return self._size

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _explained(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"artifacts cannot be kept in {folder} ({error})") from error


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

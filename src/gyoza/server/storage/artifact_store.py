"""Where the bytes of artifacts rest: one narrow interface, and the folder that implements it.

A store holds whole, verified files under the SHA-256 of their content and knows nothing else about
them; what arrives piece by piece is in `artifact_uploads.py` until it is whole. The same contract
suite passes for every implementation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from gyoza.server.errors import StoreUnavailable

PIECE: Final = 256 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as the store lists it.

    Attributes:
        sha256: Its name.
        stored_at: When it was put there, or last put there again.
    """

    sha256: str
    stored_at: datetime


class ArtifactStore(Protocol):
    """Whole files by the SHA-256 of their content; blocking, so call it in threads."""

    def size(self, sha256: str) -> int | None:
        """Bytes of the stored file; None when there is none.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        ...

    def adopt(self, file: Path, sha256: str) -> None:
        """Take in a whole, verified file, so that it is stored completely or not at all.

        Args:
            file: Flushed to disk already; whether it is still there afterwards is open.
            sha256: Of its content; a file that is stored under it already is replaced.

        Raises:
            StoreUnavailable: It cannot be stored; nothing of it was kept.
        """
        ...

    def read(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop`, in pieces.

        Raises:
            StoreUnavailable: The file cannot be read, or is not there.
        """
        ...

    def delete(self, sha256: str) -> None:
        """Remove a file; repeating is harmless.

        Raises:
            StoreUnavailable: It cannot be removed.
        """
        ...

    def list(self) -> Iterator[StoredFile]:
        """Every stored file, in no order; one that is removed meanwhile may be named or not.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        ...


class FolderStore:
    """A folder: `<folder>/<first two digits>/<sha256>`.

    Args:
        folder: Made when missing.

    Raises:
        StoreUnavailable: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def size(self, sha256: str) -> int | None:
        """See `ArtifactStore.size`."""
        with explained(self._folder):
            try:
                return self._path(sha256).stat().st_size
            except FileNotFoundError:
                return None

    def adopt(self, file: Path, sha256: str) -> None:
        """See `ArtifactStore.adopt`; the file has to be on the same file system."""
        target = self._path(sha256)
        with explained(self._folder):
            made_folder = not target.parent.exists()
            target.parent.mkdir(exist_ok=True)
            os.utime(file)
            file.replace(target)
            _flush_folder(target.parent)
            if made_folder:
                _flush_folder(self._folder)

    def read(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        """See `ArtifactStore.read`."""
        with explained(self._folder), self._path(sha256).open("rb") as file:
            file.seek(start)
            left = stop - start
            while left > 0 and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece

    def delete(self, sha256: str) -> None:
        """See `ArtifactStore.delete`."""
        with explained(self._folder):
            self._path(sha256).unlink(missing_ok=True)

    def list(self) -> Iterator[StoredFile]:
        """See `ArtifactStore.list`."""
        with explained(self._folder):
            for path in self._folder.glob("??/*"):
                if is_sha256(path.name) and path.name[:2] == path.parent.name:
                    try:
                        stored_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    except FileNotFoundError:  # removed since its folder was read
                        continue
                    yield StoredFile(path.name, stored_at)

    def _path(self, sha256: str) -> Path:
        checked(sha256)
        return self._folder / sha256[:2] / sha256


def is_sha256(name: str) -> bool:
    """Whether a name is 64 lower-case hexadecimal digits."""
    return _SHA256.fullmatch(name) is not None


def checked(sha256: str) -> str:
    """Return the name, so that nothing else ever becomes a path.

    Raises:
        ValueError: Not 64 lower-case hexadecimal digits.
    """
    if not is_sha256(sha256):
        raise ValueError(f"{sha256!r} is no SHA-256: expected 64 lower-case hexadecimal digits")
    return sha256


@contextmanager
def explained(place: object) -> Generator[None]:
    """Turn the operating system's refusals into one that names the place."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"artifacts cannot be kept in {place} ({error})") from error


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

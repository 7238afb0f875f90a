"""Artifacts in an object store (S3, Google Cloud Storage, Azure), through obstore.

Needs the extra `objects`. Why obstore: docs/decisions/0016-object-stores-through-obstore.md.
Credentials come the way each cloud's own tools take them: environment, files, instance metadata.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import BaseError

from gyoza.server.errors import StoreUnavailable
from gyoza.server.storage.artifact_store import PIECE, StoredFile, checked, is_sha256

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Obstore

# Parts of a multipart upload: S3 takes 10,000, which makes 80 GB; two at a time bound the memory.
_PART: Final = 8 * 1024 * 1024
_PARTS_AT_ONCE: Final = 2


class ObjectStore:
    """A bucket, or a prefix in one: `<first two digits>/<sha256>`.

    Args:
        place: What an error calls it.
        objects: The store, opened.
    """

    def __init__(self, place: str, objects: Obstore) -> None:
        self._place = place
        self._objects = objects

    def size(self, sha256: str) -> int | None:
        """See `ArtifactStore.size`."""
        key = _key(sha256)
        with self._explained():
            try:
                return obstore.head(self._objects, key)["size"]
            except FileNotFoundError:
                return None

    def adopt(self, file: Path, sha256: str) -> None:
        """See `ArtifactStore.adopt`: a put, and a multipart upload appears when it is complete."""
        key = _key(sha256)
        with self._explained():
            obstore.put(self._objects, key, file, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)

    def read(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        """See `ArtifactStore.read`."""
        key = _key(sha256)
        if start >= stop:  # no store takes an empty range
            return
        with self._explained():
            answer = obstore.get(self._objects, key, options={"range": (start, stop)})
            for piece in answer.stream(min_chunk_size=PIECE):
                yield bytes(piece)

    def delete(self, sha256: str) -> None:
        """See `ArtifactStore.delete`."""
        key = _key(sha256)
        with self._explained():
            try:
                obstore.delete(self._objects, key)
            except FileNotFoundError:
                return  # a folder says so, S3 does not

    def list(self) -> Iterator[StoredFile]:
        """See `ArtifactStore.list`."""
        pages: Any = obstore.list(self._objects)  # pyright: ignore[reportUnknownMemberType] - Arrow
        with self._explained():
            for portion in pages:
                for found in portion:
                    name = found["path"].rpartition("/")[2]
                    if is_sha256(name) and found["path"] == _key(name):
                        yield StoredFile(name, found["last_modified"])

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except (OSError, BaseError) as error:
            first_line = str(error).partition("\n")[0]
            raise StoreUnavailable(
                f"artifacts cannot be kept in {self._place} ({first_line})"
            ) from error


def _key(sha256: str) -> str:
    return f"{checked(sha256)[:2]}/{sha256}"

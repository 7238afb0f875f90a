"""Files on their way in: what has arrived of each is kept, so that a broken upload can go on.

Every upload writes a file of its own, `<sha256>.<anything>.part`; the longest of a hash is what an
upload goes on with. So two uploads of one content cannot mix their bytes, and whatever a killed
server left is a beginning of the file (or is found out, since the hash is checked over all of it).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gyoza.server.errors import (
    ArtifactTooLarge,
    HashMismatch,
    StoreUnavailable,
    UploadBusy,
    UploadOffset,
)
from gyoza.server.storage.artifact_store import checked, explained

# A connection that sent nothing for so long is taken for dead when its sender comes back.
IDLE_S: Final = 10.0
_SUFFIX: Final = ".part"
_PIECE: Final = 1024 * 1024


class Upload:
    """A file of which somebody sends the rest. Made by `Uploads`.

    Attributes:
        path: What has arrived.
        sha256: What the whole file's hash is to be.
        size: Bytes that have arrived.
        is_over: Whether the file is stored, or of no use; nobody goes on with it then.
        hash: Of the bytes that have arrived.
    """

    def __init__(
        self, path: Path, sha256: str, max_bytes: int | None, monotonic: Callable[[], float]
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self.size = 0
        self.is_over = False
        self.hash = hashlib.sha256()
        self._monotonic = monotonic
        self._touched = monotonic()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        # Unbuffered, so that closing it has nothing left to write on a full disk.
        self._file = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Append what arrived.

        Raises:
            ArtifactTooLarge: The file is longer than allowed; it will be dropped.
            StoreUnavailable: The disk is full or not writable, and it will be dropped; or another
                connection has gone on with this upload, which has the bytes.
        """
        with self._lock:
            if self._file.closed:
                raise StoreUnavailable(f"another connection went on with uploading {self.sha256}")
            if self._max_bytes is not None and self.size + len(chunk) > self._max_bytes:
                self.is_over = True
                raise ArtifactTooLarge(self._max_bytes)
            self._append(chunk)

    def finish(self) -> None:
        """Verify that all bytes are those of the hash, and flush them to disk.

        Raises:
            HashMismatch: They are not; the file will be dropped.
            StoreUnavailable: They cannot be flushed, or another connection has gone on.
        """
        with self._lock:
            if self._file.closed:
                raise StoreUnavailable(f"another connection went on with uploading {self.sha256}")
            actual = self.hash.hexdigest()
            if actual != self.sha256:
                self.is_over = True
                raise HashMismatch(self.sha256, actual)
            with explained(self.path.parent):
                os.fsync(self._file.fileno())

    def know(self, arrived: Upload | None) -> None:
        """Learn the hash and the size of what arrived before.

        Args:
            arrived: The upload that received it, if it was in this life of the server.
        """
        size = _size(self.path)
        if arrived is not None and arrived.size == size:
            self.size, self.hash = size, arrived.hash
            return
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                self.hash.update(piece)
                self.size += len(piece)
                self._touched = self._monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since something arrived."""
        return self._monotonic() - self._touched

    def close(self) -> None:
        """Write no more; repeating is harmless."""
        with self._lock:
            self._file.close()

    def _write(self, piece: memoryview) -> int:
        return self._file.write(piece)

    def _append(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        try:
            with explained(self.path.parent):
                while rest:
                    rest = rest[self._write(rest) :]
        except StoreUnavailable:
            # A full disk is not helped by keeping what filled it.
            self.is_over = True
            raise
        self.hash.update(chunk)
        self.size += len(chunk)
        self._touched = self._monotonic()


class Uploads:
    """The folder of everything that is on its way in.

    Args:
        folder: Made when missing; what is in it from an earlier life can be gone on with.
        monotonic: Tells how long a connection has been silent.
        kind: Writes the files; a test may give one whose disk is full.

    Raises:
        StoreUnavailable: The folder cannot be made.
    """

    def __init__(
        self, folder: Path, monotonic: Callable[[], float], *, kind: type[Upload] = Upload
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._monotonic = monotonic
        self._door = threading.Lock()
        self._held: dict[Path, Upload] = {}
        # Spares reading a file again that broke off in this life of the server.
        self._earlier: dict[Path, Upload] = {}
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def offset(self, sha256: str) -> int:
        """How many bytes of the file have arrived, also while more are arriving."""
        with explained(self._folder):
            return max((_size(path) for path in self._parts(sha256)), default=0)

    def begin(self, sha256: str, max_bytes: int | None = None) -> Upload:
        """Receive a file from its first byte on, whatever others are sending.

        Raises:
            StoreUnavailable: Nothing can be written.
        """
        prefix = f"{checked(sha256)}."
        with explained(self._folder):
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=prefix, suffix=_SUFFIX)
        os.close(descriptor)
        with self._door:
            return self._hold(Path(name), sha256, max_bytes)

    def resume(self, sha256: str, offset: int, max_bytes: int | None = None) -> Upload:
        """Go on with the longest beginning that is here.

        Args:
            sha256: Of the whole file.
            offset: Where the sender goes on; 0 when nothing is here begins.
            max_bytes: Longest whole file; None sets no limit.

        Raises:
            UploadOffset: Another number of bytes is here.
            UploadBusy: Another connection is sending them.
            StoreUnavailable: They cannot be read or written.
        """
        with self._door, explained(self._folder):
            path = max(self._parts(sha256), key=_size, default=None)
            here = 0 if path is None else _size(path)
            if here != offset:
                raise UploadOffset(sha256, here)
            upload = self._take_over(path, sha256, max_bytes) if path and here else None
        if upload is None:
            return self.begin(sha256, max_bytes)
        with explained(self._folder):
            upload.know(self._earlier.pop(upload.path, None))
        return upload

    def release(self, upload: Upload) -> None:
        """Let go of an upload: what can be gone on with stays, what cannot is removed.

        Raises:
            StoreUnavailable: The folder does not answer.
        """
        with self._door, explained(self._folder):
            if self._held.get(upload.path) is not upload:
                return  # somebody else has gone on with it
            del self._held[upload.path]
            upload.close()
            if upload.is_over or not upload.size:
                upload.path.unlink(missing_ok=True)
            else:
                self._earlier[upload.path] = upload
                self._drop_all_but_the_longest(upload.sha256)

    def expire(self, before: float) -> int:
        """Remove what nobody has gone on with.

        Args:
            before: Seconds since the epoch; what was written last before it goes.

        Returns:
            How many were removed.

        Raises:
            StoreUnavailable: The folder does not answer.
        """
        with self._door, explained(self._folder):
            old = [
                path
                for path in self._folder.glob(f"*{_SUFFIX}")
                if path not in self._held and path.stat().st_mtime < before
            ]
            for path in old:
                self._drop(path)
        return len(old)

    def _parts(self, sha256: str) -> list[Path]:
        return list(self._folder.glob(f"{checked(sha256)}.*{_SUFFIX}"))

    def _hold(self, path: Path, sha256: str, max_bytes: int | None) -> Upload:
        with explained(self._folder):
            upload = self._kind(path, sha256, max_bytes, self._monotonic)
        self._held[path] = upload
        return upload

    def _take_over(self, path: Path, sha256: str, max_bytes: int | None) -> Upload:
        holder = self._held.get(path)
        if holder is not None:
            if holder.silent_s < IDLE_S:
                raise UploadBusy(sha256)
            holder.close()
            self._earlier[path] = holder
        return self._hold(path, sha256, max_bytes)

    def _drop_all_but_the_longest(self, sha256: str) -> None:
        free = [path for path in self._parts(sha256) if path not in self._held]
        for path in sorted(free, key=_size)[:-1]:
            self._drop(path)

    def _drop(self, path: Path) -> None:
        self._earlier.pop(path, None)
        path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    # Another thread may have renamed or removed it since it was listed.
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

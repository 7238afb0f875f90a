"""One file on its way: taken piece by piece, hashed while written, begun where it broke off.

A part that is there already is read once to hash it: what an earlier process wrote just before a
crash is only as good as its bytes on disk. Every method but `close` may wait for the disk.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, final

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES: Final = 1024 * 1024


@final
class Arrival:
    """A part file being completed.

    Args:
        part: Where it is gathered.
        size_bytes: How large the whole is announced to be.
    """

    def __init__(self, part: Path, size_bytes: int) -> None:
        self._part = part
        self._size_bytes = size_bytes
        self._descriptor = -1
        self._digest = hashlib.sha256()
        self.received_bytes = 0
        self.was_begun = False
        """Some of it was there already."""

    @property
    def is_too_long(self) -> bool:
        """More has come than was announced."""
        return self.received_bytes > self._size_bytes

    @property
    def missing_bytes(self) -> int:
        """How much is still to come."""
        return max(0, self._size_bytes - self.received_bytes)

    @property
    def sha256(self) -> str:
        """Of what is here."""
        return self._digest.hexdigest()

    def open(self) -> None:
        """Begin, or go on where an earlier download broke off."""
        self._descriptor = os.open(self._part, _FLAGS, 0o600)
        if os.fstat(self._descriptor).st_size > self._size_bytes:
            os.ftruncate(self._descriptor, 0)
        while piece := os.read(self._descriptor, _PIECE_BYTES):
            self._digest.update(piece)
            self.received_bytes += len(piece)
        self.was_begun = self.received_bytes > 0

    def take(self, piece: bytes) -> None:
        """Append a piece.

        Raises:
            OSError: The disk does not take it; what it took of it is cut off again.
        """
        try:
            left = memoryview(piece)
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, self.received_bytes)
            raise
        self._digest.update(piece)
        self.received_bytes += len(piece)

    def sync(self) -> None:
        """Wait until all of it is on disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the part; it stays for whoever goes on with it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

"""Whether and how files were touched, as the kernel saw it: inotify (7), by way of the C library.

A bind mount shares its files with the container, so what an op opens there shows here. Where there
is no inotify nothing is known, and nothing is claimed.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Final

_OPENED: Final = 0x20
_READ: Final = 0x01
_CREATED: Final = 0x100
_MOVED_TO: Final = 0x80
_HEAD: Final = struct.Struct("iIII")
_ROOM: Final = 1024 * 1024


class FileWatch:
    """Watches one file for being read, and one folder for how a file in it appears.

    Args:
        read: File whose reading is noted.
        folder: Folder in which `name` is expected.
        name: File whose making is noted.
    """

    def __init__(self, read: Path, folder: Path, name: str) -> None:
        self._name = name.encode()
        self._was_read = False
        self._arrivals: list[int] = []
        self._descriptor, self._wanted = _watching(read, folder)

    @property
    def is_working(self) -> bool:
        """Whether anything can be known at all."""
        return self._descriptor >= 0

    @property
    def was_read(self) -> bool | None:
        """Whether somebody opened the file; None when that cannot be known."""
        return self._was_read if self.is_working else None

    @property
    def was_renamed(self) -> bool | None:
        """Whether the expected file appeared whole; None when it did not appear, or is unknown."""
        return self._arrivals[-1] == _MOVED_TO if self._arrivals else None

    def collect(self) -> None:
        """Take what has happened since; before anybody else touches the files."""
        try:
            data = os.read(self._descriptor, _ROOM) if self.is_working else b""
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, offset)
            offset += _HEAD.size
            self._take(watch, mask, data[offset : offset + length].rstrip(b"\0"))
            offset += length

    def close(self) -> None:
        """Let go; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, watch: int, mask: int, name: bytes) -> None:
        if watch == self._wanted:
            self._was_read = True
        elif name == self._name:
            self._arrivals.append(_MOVED_TO if mask & _MOVED_TO else _CREATED)


def _watching(read: Path, folder: Path) -> tuple[int, int]:
    """Begin to watch; returns the descriptor and the watch of the file, or -1 for both."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return -1, -1
    if descriptor < 0:
        return -1, -1
    wanted: int = library.inotify_add_watch(descriptor, os.fsencode(read), _OPENED | _READ)
    library.inotify_add_watch(descriptor, os.fsencode(folder), _CREATED | _MOVED_TO)
    return descriptor, wanted

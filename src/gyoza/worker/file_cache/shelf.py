"""The folder of input files: what is there, whether it is sound, and what may go. No network.

    <state dir>/files/<sha256>          whole; its hash was right when it was put there
    <state dir>/files/<sha256>.part     on its way, or left by a download that broke off

A whole file's time of change is set to a fixed moment once its hash was right: whatever writes to
it later moves that time, so that a look at size and time tells whether it is still what was
checked. Its time of access is when it was last used. Why attempts get a second name of the file,
or a copy, is told in `docs/decisions/0013-one-copy-of-an-input-file.md`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = "files"
PART: Final = ".part"
_MARK_NS: Final = 946_684_800 * 10**9  # the first moment of 2000
_PIECE_BYTES: Final = 1024 * 1024
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
# A file system without second names, one name too many, or folders on two file systems.
_NO_LINK: Final = (errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    size_bytes: int
    used_ns: int
    is_lent: bool


class FileShelf:
    """Files by their SHA-256 in one folder; every method may wait for the disk.

    Args:
        folder: Made on first use; closed to everybody else.
        lends_links: Whether attempts get a second name of a file instead of a copy. Only where
            containers run as somebody who could not write to it even without the read-only mount.
    """

    def __init__(self, folder: Path, *, lends_links: bool) -> None:
        self.folder = folder
        self._lends_links = lends_links
        self._checked: set[str] = set()
        self._tidying = threading.Lock()

    def part(self, sha256: str) -> Path:
        """Where a file is gathered until it is whole."""
        return self.folder / f"{sha256}{PART}"

    def make(self) -> None:
        """Make the folder; may be repeated."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, sha256: str) -> None:
        """Make a whole file of a part whose hash was right and whose bytes are on disk."""
        part = self.part(sha256)
        part.chmod(0o644)
        os.utime(part, ns=(_MARK_NS, _MARK_NS))
        _sync(part)
        part.rename(self.folder / sha256)
        _sync(self.folder)
        self._checked.add(sha256)

    def lend(self, sha256: str, size_bytes: int, target: Path, now_ns: int) -> bool:
        """Give an attempt a file, if it is there and sound; an unsound one is thrown away.

        Args:
            sha256: Of the file.
            size_bytes: Its size; another one is unsound.
            target: Where the attempt wants it; what is there is replaced.
            now_ns: Remembered as its last use.

        Returns:
            Whether it is at `target` now.

        Raises:
            OSError: The disk refuses, for instance because it is full.
        """
        kept = self.folder / sha256
        target.unlink(missing_ok=True)
        try:
            is_right = self._give(kept, size_bytes, target)
            os.utime(kept, ns=(now_ns, kept.stat().st_mtime_ns))
        except FileNotFoundError:
            # Not there, or evicted while it was being copied: it is fetched again.
            target.unlink(missing_ok=True)
            return False
        if not is_right:
            target.unlink(missing_ok=True)
            self.drop(sha256)
        return is_right

    def drop(self, sha256: str) -> None:
        """Forget a file and its part."""
        self._checked.discard(sha256)
        for path in (self.folder / sha256, self.part(sha256)):
            path.unlink(missing_ok=True)

    def used_bytes(self) -> int:
        """What the folder's files hold together."""
        return sum(each.size_bytes for each in self._list())

    def free_bytes(self) -> int:
        """Room left on the disk."""
        return shutil.disk_usage(self.folder).free

    def shrink(self, to_bytes: int, is_wanted: Callable[[str], bool]) -> int:
        """Remove files that nobody uses, least recently used first, until so much is left.

        Args:
            to_bytes: At most so much is to be held; 0 removes all that may go.
            is_wanted: Whether a file is being fetched or lent right now.

        Returns:
            What is held now; more than asked for when files in use are that large.
        """
        with self._tidying:
            held = list(self._list())
            left = sum(each.size_bytes for each in held)
            for each in sorted(held, key=lambda kept: kept.used_ns):
                if left <= to_bytes:
                    break
                sha256 = each.name.removesuffix(PART)
                # A second name is some attempt's, also one of before a restart.
                if not each.is_lent and not is_wanted(sha256):
                    self._checked.discard(sha256)
                    (self.folder / each.name).unlink(missing_ok=True)
                    left -= each.size_bytes
            return left

    def _give(self, kept: Path, size_bytes: int, target: Path) -> bool:
        if self._lends_links:
            try:
                target.hardlink_to(kept)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
            else:
                return self._is_sound(kept, target, size_bytes)
        return self._copied(kept, target)

    def _is_sound(self, kept: Path, path: Path, size_bytes: int) -> bool:
        """Whether the file at `path`, a name of the kept one, holds what it should."""
        with _opened(path) as source:
            status = os.fstat(source)
            is_as_left = (status.st_size, status.st_mtime_ns) == (size_bytes, _MARK_NS)
            if is_as_left and kept.name in self._checked:
                return True
            # Touched, or not looked at since this process began: the disk may have lost it.
            if not _holds(source, kept.name):
                return False
        os.utime(path, ns=(status.st_atime_ns, _MARK_NS))
        self._checked.add(kept.name)
        return True

    def _copied(self, kept: Path, target: Path) -> bool:
        hidden = target.with_name(f".{target.name}.part")
        try:
            with _opened(kept) as source, hidden.open("wb") as copy:
                is_right = _holds(source, kept.name, copy.write)
            hidden.chmod(0o644)
            if is_right:
                hidden.rename(target)
            return is_right
        finally:
            hidden.unlink(missing_ok=True)

    def _list(self) -> Iterator[_Kept]:
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            yield _kept(entry.name, status)
        except FileNotFoundError:
            return


def disk_of(path: Path) -> Path:
    """Where the file system that holds a path is mounted."""
    found = path.resolve()
    while not found.is_mount():
        found = found.parent
    return found


def _kept(name: str, status: os.stat_result) -> _Kept:
    # A part's time of use is when its last byte came.
    used_ns = status.st_mtime_ns if name.endswith(PART) else status.st_atime_ns
    return _Kept(name, status.st_size, used_ns, is_lent=status.st_nlink > 1)


def _holds(source: int, sha256: str, *takers: Callable[[bytes], object]) -> bool:
    """Whether all that is to be read has this hash; each piece is handed on."""
    digest = hashlib.sha256()
    while piece := _read(source):
        digest.update(piece)
        for take in takers:
            take(piece)
    return digest.hexdigest() == sha256


def _read(source: int) -> bytes:
    try:
        return os.read(source, _PIECE_BYTES)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""  # a bad spot on the disk ends the file, so its hash is wrong


@contextlib.contextmanager
def _opened(path: Path) -> Generator[int]:
    descriptor = os.open(path, _READ_FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    with _opened(path) as descriptor:
        os.fsync(descriptor)

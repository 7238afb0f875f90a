"""Who may open the database file: one process, on a local file system."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from gyoza.server.errors import StoreInUse, StoreUnavailable

_NETWORK: Final = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"),
        *("nfs4", "ocfs2", "smb3", "smbfs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"),
    )
)
_MOUNTS: Final = Path("/proc/self/mountinfo")


class FileLock:
    """The operating system's lock on `<database>.lock`; it ends with the process.

    Args:
        database: The file to guard.

    Raises:
        StoreInUse: Another process has it, or this one has it already.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(f"{database.name}.lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # flock belongs to the open file, so that it also refuses a second one in this process.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _pid_in(self._descriptor)
            os.close(self._descriptor)
            raise StoreInUse(str(database), holder) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have the file; the lock file stays, since removing it would be a race."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def refuse_network_filesystem(database: Path, mounts: str | None = None) -> None:
    """Refuse a folder where SQLite's locks and shared memory do not hold.

    Args:
        database: The file; it may be missing, its folder not.
        mounts: Text in the form of `/proc/self/mountinfo` (proc(5)); None reads that file and
            passes where there is none.

    Raises:
        StoreUnavailable: The folder is on a network file system.
    """
    if mounts is None:
        if not _MOUNTS.exists():
            return
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    kind = _filesystem_of(database.parent.resolve(), mounts)
    if kind in _NETWORK:
        raise StoreUnavailable(
            f"{database.parent} is on a network file system ({kind}), where SQLite loses data; "
            "set GYOZA_DATA_DIR to a local folder"
        )


def _filesystem_of(folder: Path, mounts: str) -> str:
    found, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) >= len(found):  # later mounts cover earlier
            found, kind = point, after.split(" ")[0]
    return kind


def _pid_in(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdecimal() else None

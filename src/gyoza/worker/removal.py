"""Removing a work folder, whatever an op has put there.

Deciding when a folder may go is done elsewhere: nobody may be writing there any more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES_AT_ONCE: Final = 1000
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def delete_folder(path: Path) -> None:
    """Remove a folder and all below it; nothing happens if it is gone.

    Links are removed, never followed. Depth costs neither stack nor descriptors: folders found
    inside others are first moved up to the top, so that two descriptors suffice for any tree
    (`shutil.rmtree` holds one a level and gives up at the thousandth).

    Raises:
        OSError: The file system itself refuses.
    """
    with contextlib.suppress(FileNotFoundError):
        _make_accessible(str(path), None)
        root = os.open(path, _FOLDER_FLAGS)
        try:
            _empty(root)
        finally:
            os.close(root)
        path.rmdir()


def _empty(root: int) -> None:
    moved = 0
    while names := _some_names(root):
        for name in names:
            if not _unlinked(root, name):
                moved = _hoist_folders(root, name, moved)
                os.rmdir(name, dir_fd=root)


def _hoist_folders(root: int, name: str, moved: int) -> int:
    """Empty a folder of the top level, moving its own folders up; returns the last number used."""
    _make_accessible(name, root)
    inner = os.open(name, _FOLDER_FLAGS, dir_fd=root)
    try:
        while names := _some_names(inner):
            for each in names:
                if not _unlinked(inner, each):
                    _make_accessible(each, inner)
                    moved = _hoist(inner, each, root, moved)
    finally:
        os.close(inner)
    return moved


def _hoist(inner: int, name: str, root: int, moved: int) -> int:
    while True:
        moved += 1
        try:
            os.rename(name, f".removing-{moved}", src_dir_fd=inner, dst_dir_fd=root)
        except OSError as error:
            # The op may have used our name already; the next number is as good.
            if error.errno not in _TAKEN:
                raise
        else:
            return moved


def _unlinked(folder: int, name: str) -> bool:
    """Remove anything but a folder; False for a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except (IsADirectoryError, PermissionError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise
        return False
    return True


def _make_accessible(name: str, folder: int | None) -> None:
    # A worker that is not root cannot empty a folder that its op has closed even to itself.
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, stat.S_IRWXU, dir_fd=folder)


def _some_names(folder: int) -> list[str]:
    # Not all at once: an op may leave a million of them.
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) >= _NAMES_AT_ONCE:
                break
    return names

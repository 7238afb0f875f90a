"""Reading what an op left behind, as if the op were an attacker.

The worker is often root and `out/` belongs to the op, who may plant links, FIFOs, sockets, devices,
endless files and deep trees there. So nothing here follows a path: everything is opened relative to
a folder's descriptor, without following links and without blocking, and then asked what it is.
What the bytes mean is decided elsewhere; removing is done in `removal`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gyoza.wire import strict_json

MAX_WATCHED_ENTRIES: Final = 200_000
MAX_WATCHED_LEVELS: Final = 64
MAX_SHOWN_CHARS: Final = 200
_BLOCK_BYTES: Final = 512  # the unit of st_blocks, whatever the file system's own block size
_CHUNK_BYTES: Final = 1024 * 1024

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class Refused(Exception):
    """A file is not one that the worker takes from an op; the message says why, for the author."""


class Missing(Refused):
    """There is no such file."""


class Closed(Refused):
    """The op has taken the right to read it from us; cannot happen to root."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What a walk met.

    Attributes:
        path: Relative to the folder walked, with `/` between the levels.
        refusal: Why it cannot be taken; "" for a plain file.
        size_bytes: As the file system says right now.
    """

    path: str
    refusal: str
    size_bytes: int


@contextlib.contextmanager
def opened_folder(path: Path) -> Generator[int]:
    """Hold a folder's descriptor; the last part of `path` must not be a link.

    Raises:
        Missing: There is no such folder.
        Refused: It is not a folder.
    """
    folder = _open(str(path), _FOLDER_FLAGS, None, path.name)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def closing(descriptor: int) -> Generator[int]:
    """Close a descriptor at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_subfolder(folder: int, name: str) -> int:
    """Open a folder inside a folder; the caller closes the descriptor.

    Raises:
        Missing: There is no such folder.
        Refused: It is a link or anything else, or lies on another device.
    """
    opened = _open(name, _FOLDER_FLAGS, folder, name)
    if os.fstat(opened).st_dev != os.fstat(folder).st_dev:
        os.close(opened)
        raise Refused(f"{shown_name(name)} lies on another file system")
    return opened


def open_regular(folder: int, name: str) -> int:
    """Open a plain file inside a folder; the caller closes the descriptor.

    Raises:
        Missing: There is no such file.
        Refused: It is a link, a folder, a FIFO, a socket or a device; has a second name (a hard
            link may lead anywhere on the file system); or lies on another device.
    """
    opened = _open(name, _FILE_FLAGS, folder, name)
    problem = _problem(os.fstat(opened), os.fstat(folder).st_dev)
    if problem:
        os.close(opened)
        raise Refused(f"{shown_name(name)} {problem}; only plain files are taken")
    return opened


def open_below(folder: int, path: str) -> int:
    """Open a plain file by a relative path, one level at a time; the caller closes it.

    Args:
        folder: Descriptor of the folder that the path starts at.
        path: Names joined by `/`; none of them may be empty, `.` or `..`.

    Raises:
        Missing: There is no such file.
        Refused: The path leaves the folder, or a level of it is not what it should be.
    """
    *levels, name = _split(path)
    current = os.dup(folder)
    try:
        for level in levels:
            deeper = open_subfolder(current, level)
            os.close(current)
            current = deeper
        return open_regular(current, name)
    finally:
        os.close(current)


def read_small_file(folder: int, name: str, cap: int) -> tuple[bytes, bool]:
    """Read a plain file of at most `cap` bytes, however large it is or becomes meanwhile.

    Returns:
        The bytes, and whether there were more than `cap` (they are cut off then).

    Raises:
        Missing: There is no such file.
        Refused: As `open_regular`.
    """
    descriptor = open_regular(folder, name)
    try:
        content = b"".join(read_pieces(descriptor, cap + 1))
    finally:
        os.close(descriptor)
    return content[:cap], len(content) > cap


def read_pieces(descriptor: int, cap: int) -> Iterator[bytes]:
    """Read a file from its start in pieces of up to 1 MiB, at most `cap` bytes in all.

    The descriptor's own position is neither used nor moved.
    """
    offset = 0
    while offset < cap:
        piece = os.pread(descriptor, min(cap - offset, _CHUNK_BYTES), offset)
        if not piece:
            return
        yield piece
        offset += len(piece)


def walk_files(folder: int, *, max_files: int, max_levels: int) -> list[FoundFile]:
    """List the files under a folder, by descriptors, in the order of their paths.

    Raises:
        Refused: There are more entries than `max_files`, or folders nested deeper than
            `max_levels`.
    """
    device = os.fstat(folder).st_dev
    found: list[FoundFile] = []
    for count, (prefix, entry) in enumerate(_entries(folder, max_levels), start=1):
        if count > max_files:
            raise Refused(f"more than {max_files} files; pack them into one archive")
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            path = prefix + entry.name
            refusal = _problem(status, device) or _unusable(path)
            found.append(FoundFile(path, refusal, status.st_size))
    return sorted(found, key=lambda file: file.path)


def disk_usage(folder: int) -> tuple[int, str]:
    """Sum up what a folder takes on the disk, while the op may be writing there.

    Returns:
        Bytes in allocated blocks, a file of several names counted once, and "" or why the folder is
        over any sensible limit whatever its bytes: more than 200,000 entries, folders nested more
        than 64 levels deep, or a folder closed to us, in which anything may be.
    """
    blocks = 0
    counted: set[int] = set()
    try:
        for count, (_, entry) in enumerate(_entries(folder, MAX_WATCHED_LEVELS), start=1):
            if count > MAX_WATCHED_ENTRIES:
                raise Refused(f"more than {MAX_WATCHED_ENTRIES} files")  # noqa: TRY301
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                is_new = status.st_nlink == 1 or status.st_ino not in counted
                blocks += status.st_blocks if is_new else 0
                if status.st_nlink > 1:
                    counted.add(status.st_ino)
    except Refused as refusal:
        return blocks * _BLOCK_BYTES, str(refusal)
    return blocks * _BLOCK_BYTES, ""


def shown_name(name: str) -> str:
    """A name that an op chose, fit for people: short, no control characters, no surrogates."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    shown = "".join(char if char.isprintable() else "?" for char in shown)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[:MAX_SHOWN_CHARS]}..."


def _open(name: str, flags: int, folder: int | None, shown: str) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise Missing(f"{shown_name(shown)} does not exist") from None
    except PermissionError:
        raise Closed(
            f"{shown_name(shown)} is closed to the worker; give its owner all rights"
        ) from None
    except (OSError, ValueError) as error:
        # ELOOP: a link. ENXIO: a socket, or a FIFO or device without its other side. ENOTDIR: a
        # file where a folder should be. All of them are the op's doing.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Refused(
            f"{shown_name(shown)} cannot be opened as a plain {_kind(flags)} ({reason})"
        ) from None


def _kind(flags: int) -> str:
    return "folder" if flags & os.O_DIRECTORY else "file"


def _problem(status: os.stat_result, device: int) -> str:
    if not stat.S_ISREG(status.st_mode):
        return f"is a {_KINDS.get(stat.S_IFMT(status.st_mode), 'special file')}"
    if status.st_nlink != 1:
        return f"has {status.st_nlink} hard links"
    return "" if status.st_dev == device else "lies on another file system"


_KINDS: Final = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def _unusable(name: str) -> str:
    try:
        strict_json.check(name)
    except strict_json.StrictJsonError:
        return "has a name that is not UTF-8"
    return ""


def _split(path: str) -> list[str]:
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names):
        raise Refused(f"{shown_name(path)} is not a plain path inside the folder")
    return names


def _entries(
    folder: int, levels_left: int, prefix: str = ""
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Walk depth first, one descriptor a level; a folder that vanishes meanwhile is passed over."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield prefix, entry
            if entry.is_dir(follow_symlinks=False):
                if levels_left <= 1:
                    raise Refused(f"{shown_name(prefix + entry.name)} is nested too deep")
                yield from _entries_below(folder, entry.name, levels_left - 1, prefix)


def _entries_below(
    folder: int, name: str, levels_left: int, prefix: str
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        deeper = open_subfolder(folder, name)
    except Closed:
        raise
    except Refused:
        return
    try:
        yield from _entries(deeper, levels_left, f"{prefix}{name}/")
    finally:
        os.close(deeper)

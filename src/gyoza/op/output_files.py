"""Brings the files that an op returns under `out/files/`, where the worker looks for them.

A file that is there already stays; one in a temporary folder is moved, any other is copied: what an
op was given, or what belongs to its image, is not ours to take away.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from gyoza.op import protocol

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\\]|[\ud800-\udfff]")
_MAX_NAME_BYTES: Final = 150


class OutputFiles:
    """The files of one attempt.

    Args:
        out: The `out/` folder.
    """

    def __init__(self, out: Path) -> None:
        self._folder = out / protocol.FILES
        self._kept: dict[Path, str] = {}

    def keep(self, path: os.PathLike[str], place: tuple[str | int, ...]) -> str:
        """Bring a file under `out/files/`.

        Args:
            path: Of the file; relative ones start at the working folder.
            place: Steps to the value in the outputs; names the file when its own name is taken.

        Returns:
            Its path relative to `out/`; the same file gets the same answer.

        Raises:
            ValueError: There is no plain file at the path.
            OSError: It cannot be moved or copied.
        """
        source = Path(path)
        if not source.is_file():
            raise ValueError(_what_is_there(source))
        real = source.resolve()
        known = self._kept.get(real)
        if known is None:
            known = self._kept[real] = self._placed(source, real, place)
        return known

    def _placed(self, source: Path, real: Path, place: tuple[str | int, ...]) -> str:
        folder = self._folder.resolve()
        # The worker takes neither links nor files with a second name: those are copied.
        is_own = real.is_relative_to(folder) and real.stat().st_nlink == 1
        if is_own:
            return f"{protocol.FILES}/{real.relative_to(folder).as_posix()}"
        folder.mkdir(parents=True, exist_ok=True)
        target = _free(folder, _safe_name(source.name), place)
        is_temporary = real.is_relative_to(Path(tempfile.gettempdir()).resolve())
        if is_temporary and real.stat().st_nlink == 1 and not real.is_relative_to(folder.parent):
            shutil.move(real, target)
        else:
            shutil.copyfile(real, target)
        return f"{protocol.FILES}/{target.name}"


def _what_is_there(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder; pack it into one file, such as a zip archive"
    if os.path.lexists(path):
        return f"{path} is no plain file"
    return f"there is no file {path}; write it before returning it"


def _free(folder: Path, name: str, place: tuple[str | int, ...]) -> Path:
    """A path that nothing is at: the name, else with the output's name, else with a number."""
    stem, dot, ending = name.partition(".")
    label = _safe_name("-".join(str(step) for step in place)) if place else "file"
    tried = folder / name
    count = 1
    while os.path.lexists(tried):
        number = "" if count == 1 else f"-{count}"
        tried = folder / f"{stem}-{label}{number}{dot}{ending}"
        count += 1
    return tried


def _safe_name(name: str) -> str:
    plain = _UNSAFE.sub("_", name.replace("/", "_"))
    while len(plain.encode()) > _MAX_NAME_BYTES:
        plain = plain[1:]
    return plain or "file"

"""New op projects: the templates that this package ships, and writing one into a folder.

A template is a folder of `templates/` as an author would have it; only the op's name is filled in,
where `{{name}}` stands. Nothing that exists is ever written over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from gyoza.models import OP_ID_PATTERN

_NAME: Final = b"{{name}}"
_LEFT_OUT: Final = "__pycache__"

TEMPLATES: Final[Mapping[str, str]] = {
    "hello": "A function in pure Python: inputs, bounds, progress.",
    "class-model": "A class that loads a model once and uses it for every run.",
    "image": "Pictures in and out, with Pillow.",
    "geo-raster": "A raster block by block, with numpy and a lock file.",
    "shell": "No Python: a shell script and a Dockerfile of its own.",
    "single-file": "One Python file with its packages and settings inside.",
}
"""What there is, and what each shows."""

TESTS: Final[Mapping[str, str]] = {"shell": "sh test.sh"}
"""How a template's own test is run, where that is not `python -m pytest`."""

BUILT: Final[Mapping[str, str]] = {"single-file": "textstats.py"}
"""What is built, where that is not the folder."""


class FilesExist(Exception):
    """A project cannot be written where files of the same names are.

    Attributes:
        paths: Those files.
    """

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(paths)
        self.paths = paths

    def __str__(self) -> str:
        names = ", ".join(str(path) for path in self.paths)
        return f"nothing written, since this exists: {names}"


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project that was written.

    Attributes:
        folder: Where.
        files: Its files by their paths in it, sorted.
        test: Command that runs its own test, in the folder.
        built: What `gyoza build` takes: the folder, or the one file.
    """

    folder: Path
    files: tuple[str, ...]
    test: str
    built: Path


def op_name(text: str) -> str:
    """Return the nearest name that an op can have.

    Raises:
        ValueError: The text has neither a letter nor a digit.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
    if re.fullmatch(OP_ID_PATTERN, name) is None:
        raise ValueError(f"no op can be called {text!r}: it needs a letter or digit")
    return name


def render(template: str, name: str) -> dict[str, bytes]:
    """Return a template's files by their paths, sorted, with the op's name filled in.

    Raises:
        KeyError: There is no such template.
    """
    if template not in TEMPLATES:
        raise KeyError(template)
    folder = resources.files("gyoza.project") / "templates" / template
    files = dict(_files(folder))
    return {path: files[path].replace(_NAME, name.encode()) for path in sorted(files)}


def write_project(folder: Path, template: str, name: str) -> NewProject:
    """Write a new project.

    Args:
        folder: Is made when it is not there.
        template: One of `TEMPLATES`.
        name: Of the op.

    Raises:
        KeyError: There is no such template.
        FilesExist: Files of the same names are there; nothing was written.
        OSError: The folder cannot be written to.
    """
    files = render(template, name)
    taken = [folder / path for path in files if (folder / path).exists()]
    if taken:
        raise FilesExist(taken)
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Refuses a file that came into being since we looked.
        with target.open("xb") as file:
            file.write(content)
    return NewProject(
        folder=folder,
        files=tuple(files),
        test=TESTS.get(template, "python -m pytest"),
        built=folder / BUILT[template] if template in BUILT else folder,
    )


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != _LEFT_OUT:
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield prefix + entry.name, entry.read_bytes()

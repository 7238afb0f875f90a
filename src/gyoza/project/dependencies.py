"""Where an op's Python packages come from, found by looking at the project's files.

A lock file wins over everything that would have to be resolved anew. Nothing is installed or
resolved here: that is the image build's work.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast

from gyoza.project.errors import Problem, ProjectError

LOCK: Final = "uv.lock"
PYPROJECT: Final = "pyproject.toml"
REQUIREMENTS: Final = "requirements.txt"
# `-r other.txt`, `--constraint=limits.txt`: pip's requirements file format.
_INCLUDE: Final = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:\s+|=)?(\S+)")


class Source(Enum):
    """Kinds of places that packages are named in."""

    NONE = "none"
    LOCK = "uv.lock"
    REQUIREMENTS = "requirements.txt"
    PYPROJECT = "pyproject.toml"
    SCRIPT = "script block"
    SCRIPT_LOCK = "script lock"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What has to be installed.

    Attributes:
        source: What kind of place names it.
        files: Paths in the build context that the installation reads, the main one first.
    """

    source: Source = Source.NONE
    files: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        """Whether the same packages are installed every time."""
        return self.source in {Source.NONE, Source.LOCK, Source.SCRIPT_LOCK}


def find_dependencies(root: Path) -> Dependencies:
    """Return the dependencies of a project's folder.

    Raises:
        ProjectError: `pyproject.toml` is no TOML, or a file that another one includes is missing.
    """
    has_pyproject = (root / PYPROJECT).is_file()
    if has_pyproject and (root / LOCK).is_file():
        return Dependencies(Source.LOCK, (PYPROJECT, LOCK))
    if (root / REQUIREMENTS).is_file():
        return Dependencies(Source.REQUIREMENTS, tuple(_with_included(root, REQUIREMENTS)))
    if has_pyproject and _names_packages(root / PYPROJECT):
        return Dependencies(Source.PYPROJECT, (PYPROJECT,))
    return Dependencies()


def _names_packages(file: Path) -> bool:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProjectError(file, [Problem(0, (), f"not TOML: {error}")]) from None
    project: Any = values.get("project", {})
    return isinstance(project, dict) and bool(cast("dict[str, Any]", project).get("dependencies"))


def _with_included(root: Path, first: str) -> list[str]:
    found = [first]
    for name in found:
        file = root / name
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            included = _INCLUDE.match(line.strip())
            if included is None or "://" in included[1]:
                continue
            path = _inside(file, number, PurePosixPath(name).parent / included[1])
            if not (root / path).is_file():
                missing = f"includes {included[1]}, which is not there"
                raise ProjectError(file, [Problem(number, (), missing)])
            if path not in found:
                found.append(path)
    return found


def _inside(file: Path, number: int, path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "/" or (part == ".." and not parts):
            outside = f"includes {path}, which is outside the project's folder"
            raise ProjectError(file, [Problem(number, (), outside)])
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)

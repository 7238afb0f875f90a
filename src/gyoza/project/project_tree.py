"""The files of a project's folder that enter its image, by name; what is ignored is not entered."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from gyoza.project.errors import Problem, ProjectError
from gyoza.project.ignore_rules import FILE_NAME, NEVER, IgnoreRules, read_patterns


def list_files(root: Path) -> dict[str, Path]:
    """Return the files of a folder by their paths in it, sorted.

    Links are followed while they stay inside the folder, so that an image never depends on what a
    machine keeps elsewhere.

    Raises:
        ProjectError: Something is neither file nor folder, or a link leads outside.
    """
    rules = IgnoreRules([*NEVER, *_own_patterns(root)])
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    for folder, names, files in os.walk(root):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        if not rules.takes_back:
            names[:] = [name for name in names if not rules.ignores(here / name)]
        names[:] = [name for name in names if name not in {".git", ".venv"}]
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            path = here / name
            if rules.ignores(path):
                continue
            why = _why_not(root, root / path)
            if why:
                problems.append(Problem(0, (str(path),), why))
            else:
                found[str(path)] = root / path
    if problems:
        raise ProjectError(root, problems)
    return dict(sorted(found.items()))


def _own_patterns(root: Path) -> list[str]:
    file = root / FILE_NAME
    return read_patterns(file.read_text(encoding="utf-8")) if file.is_file() else []


def _why_not(root: Path, path: Path) -> str:
    """Return why a path cannot be part of an image; "" when it can."""
    remedy = f"name it in {FILE_NAME}, or put a copy in its place"
    if path.is_symlink():
        if not path.resolve().is_relative_to(root.resolve()):
            return f"is a link to {path.readlink()}, outside the project; {remedy}"
        if path.is_dir():
            return f"is a link to the folder {path.readlink()}; {remedy}"
    if not path.is_file():
        kind = "a link to nothing" if path.is_symlink() else "neither a file nor a folder"
        return f"is {kind}; {remedy}"
    return ""

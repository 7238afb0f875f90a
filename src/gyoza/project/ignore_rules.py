"""Which files of a project stay out of its image: `.dockerignore`, and what never belongs there.

The patterns mean what Docker says they mean (https://docs.docker.com/build/concepts/context/):
relative to the project's folder, `**` for any number of folders, the last match wins, `!` takes a
file back in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

FILE_NAME: Final = ".dockerignore"

NEVER: Final = (
    "**/.git",
    "**/.hg",
    "**/.svn",
    "**/.venv",
    "**/venv",
    "**/__pycache__",
    "**/*.py[cod]",
    "**/.*_cache",
    "**/node_modules",
    "**/*.egg-info",
    "**/.DS_Store",
    "**/.env",
    ".gyoza",
    FILE_NAME,
    ".gitignore",
)
"""Left out before the author's own patterns, which can take any of them back in."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    is_taken_back: bool


class IgnoreRules:
    """Decides about paths.

    Args:
        patterns: In their order, as a `.dockerignore` has them.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = [_rule(pattern) for pattern in patterns]

    def ignores(self, path: PurePosixPath) -> bool:
        """Return whether a path stays out; a folder that does takes everything in it along."""
        names = ["/".join(path.parts[: depth + 1]) for depth in range(len(path.parts))]
        ignored = False
        for rule in self._rules:
            if any(rule.pattern.fullmatch(name) for name in names):
                ignored = not rule.is_taken_back
        return ignored

    @property
    def takes_back(self) -> bool:
        """Whether a file can come back in although its folder stays out."""
        return any(rule.is_taken_back for rule in self._rules)


def read_patterns(text: str) -> list[str]:
    """Return the patterns of a `.dockerignore`: no blank lines, no comments."""
    stripped = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _rule(line: str) -> _Rule:
    taken_back = line.startswith("!")
    pattern = line.removeprefix("!").strip().strip("/")
    parts = [part for part in pattern.split("/") if part not in {"", "."}]
    return _Rule(re.compile(_expression(parts)), taken_back)


def _expression(parts: list[str]) -> str:
    text = ""
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "**":
            text += ".*" if is_last else "(?:[^/]+/)*"
        else:
            text += _name(part) + ("" if is_last else "/")
    return text


def _name(part: str) -> str:
    """Return one name's expression: `*`, `?` and `[...]` as Go's `filepath.Match` takes them."""
    text, position = "", 0
    while position < len(part):
        found = re.match(r"\[(\^?)([^\]]+)\]", part[position:])
        if found:
            text += f"[{found[1]}{found[2]}]".replace("\\", "\\\\")
            position += found.end()
            continue
        letter = part[position]
        text += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
        position += 1
    return text

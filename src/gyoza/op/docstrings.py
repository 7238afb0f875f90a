"""Reads docstrings: a title, a description, and what each argument means.

Google's and NumPy's section forms are understood; anything else is description. Nothing here can
fail: a docstring that follows no form has no sections.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import Final

_SECTIONS: Final = {
    "args": "args",
    "arguments": "args",
    "parameters": "args",
    "params": "args",
    "inputs": "args",
    "attributes": "args",
    "other parameters": "args",
    "returns": "returns",
    "yields": "returns",
}
_OTHERS: Final = {
    "raises", "example", "examples", "note", "notes", "warning", "warnings", "see also",
    "references", "warns", "todo", "receives", "methods",
}  # fmt: skip
_GOOGLE_NAME: Final = re.compile(r"\*{0,2}(?P<name>\w+)\s*(\([^)]*\))?\s*:\s*(?P<text>.*)")
_NUMPY_NAMES: Final = re.compile(r"\*{0,2}\w+(\s*,\s*\*{0,2}\w+)*\s*(:.*)?")


@dataclass
class Docstring:
    """What a docstring says.

    Attributes:
        title: The first line.
        description: All between the first line and the first section.
        arguments: What each argument or attribute means.
        returns: What the result means.
    """

    title: str = ""
    description: str = ""
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    returns: str = ""


def parse(text: str | None) -> Docstring:
    """Read a docstring; None is an empty one."""
    lines = inspect.cleandoc(text or "").splitlines()
    sections = _split(lines)
    body = sections.pop(0)[2] if sections else []
    found = Docstring(title=body[0].strip() if body else "")
    found.description = _joined_paragraphs(body[1:])
    for name, is_numpy, content in sections:
        if _SECTIONS.get(name) == "args":
            read = _numpy_arguments if is_numpy else _google_arguments
            found.arguments.update(read(content))
        elif _SECTIONS.get(name) == "returns":
            found.returns = _returns(content, is_numpy=is_numpy)
    return found


def _split(lines: list[str]) -> list[tuple[str, bool, list[str]]]:
    """Cut into (section name, whether NumPy's form, lines); the first has no name."""
    found: list[tuple[str, bool, list[str]]] = [("", False, [])]
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        is_rule = bool(re.fullmatch(r"-{3,}", line.strip()))
        if is_rule and found[-1][1] and not found[-1][2]:
            continue
        name = line.strip().lower()
        is_numpy = bool(re.fullmatch(r"-{3,}", below.strip()))
        known = name.removesuffix(":") if name.endswith(":") or is_numpy else ""
        if known in _SECTIONS or known in _OTHERS:
            found.append((known, is_numpy, []))
        else:
            found[-1][2].append(line)
    return found


def _google_arguments(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    names = [line for line in lines if line.strip()]
    margin = min((_indent(line) for line in names), default=0)
    current: list[str] = []
    for line in names:
        start = _GOOGLE_NAME.fullmatch(line.strip()) if _indent(line) == margin else None
        if start is not None:
            current = found.setdefault(start["name"], [])
            current.append(start["text"])
        else:
            current.append(line.strip())
    return {name: " ".join(parts).strip() for name, parts in found.items()}


def _numpy_arguments(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[list[str]] = []
    for line in lines:
        if line.strip() and _indent(line) == 0 and _NUMPY_NAMES.fullmatch(line):
            names = line.partition(":")[0].replace("*", "").split(",")
            current = [found.setdefault(name.strip(), []) for name in names]
        elif line.strip():
            for parts in current:
                parts.append(line.strip())
    return {name: " ".join(parts) for name, parts in found.items()}


def _returns(lines: list[str], *, is_numpy: bool) -> str:
    if not is_numpy:
        return " ".join(line.strip() for line in lines if line.strip())
    return " ".join(line.strip() for line in lines if line.strip() and _indent(line) > 0)


def _joined_paragraphs(lines: list[str]) -> str:
    paragraphs = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in paragraphs if part.strip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

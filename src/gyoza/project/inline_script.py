"""A single Python file as a project: its PEP 723 block and the `[tool.gyoza]` table in it.

The text of the block and its values, nothing about what they are for. Specification:
https://packaging.python.org/en/latest/specifications/inline-script-metadata/
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from gyoza.project.errors import Problem, ProjectError

# The regular expression of the specification.
_BLOCK: Final = re.compile(
    r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
)
_KIND: Final = "script"


@dataclass(frozen=True, slots=True)
class InlineScript:
    """What a script says about itself.

    Attributes:
        block: The block as it is written, comment signs included; "" when there is none.
        line: The line where the block begins, counted from 1; 0 when there is none.
        requires_python: Versions of Python that it takes; None when it does not say.
        dependencies: Requirements as pip writes them.
        settings: The table `[tool.gyoza]`.
    """

    block: str = ""
    line: int = 0
    requires_python: str | None = None
    dependencies: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    def line_of(self, path: tuple[str, ...]) -> int:
        """Return the line where the block says something of `[tool.gyoza]`, else its first."""
        for name in reversed(path):
            key = re.compile(
                rf"# *(?:\[tool\.gyoza\.(?:.*\.)?)?[\"']?{re.escape(name)}[\"']? *[=\].]"
            )
            for number, line in enumerate(self.block.splitlines()):
                if key.match(line):
                    return self.line + number
        return self.line


def has_block(text: str) -> bool:
    """Whether a text has a block that says what a script needs."""
    return any(found["type"] == _KIND for found in _BLOCK.finditer(text))


def read_inline_script(file: Path, text: str) -> InlineScript:
    """Read the block of a script.

    Args:
        file: Names the script in errors.
        text: The script.

    Raises:
        ProjectError: The block is given twice, is no TOML, or holds other types than it may.
    """
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == _KIND]
    if not blocks:
        return InlineScript()
    lines = [text.count("\n", 0, match.start()) + 1 for match in blocks]
    if len(blocks) > 1:
        twice = f"a second `# /// script` block; the first is on line {lines[0]}"
        raise ProjectError(file, [Problem(lines[1], (), twice)])
    try:
        values = tomllib.loads(_uncommented(blocks[0]["content"]))
        return _script(values, blocks[0].group(), lines[0])
    except (TypeError, ValueError) as error:
        broken = f"the `# /// script` block is not what PEP 723 says: {error}"
        raise ProjectError(file, [Problem(lines[0], (), broken)]) from None


def _uncommented(content: str) -> str:
    return "".join(line[2:] if line.startswith("# ") else line[1:] for line in _lines(content))


def _lines(content: str) -> list[str]:
    return content.splitlines(keepends=True)


def _script(values: dict[str, Any], block: str, line: int) -> InlineScript:
    python: Any = values.get("requires-python")
    if python is not None and not isinstance(python, str):
        raise TypeError("requires-python must be text")
    return InlineScript(
        block=f"{block}\n",
        line=line,
        requires_python=python,
        dependencies=_requirements(values.get("dependencies", [])),
        settings=_table(_table(values.get("tool", {}), "tool").get("gyoza", {}), "tool.gyoza"),
    )


def _requirements(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("dependencies must be a list of texts")
    items = cast("list[object]", value)
    if not all(isinstance(item, str) and item.isprintable() for item in items):
        raise TypeError("dependencies must be a list of texts")
    return tuple(str(item) for item in items)


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a table")
    return cast("dict[str, Any]", value)

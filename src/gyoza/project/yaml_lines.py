"""YAML as plain values that know their lines, without the parts of YAML that surprise people.

Scalars are those of JSON (YAML 1.2's core): `no` is text, `1:30` is text, a date is text. Refused
are duplicate keys, keys that are not text, tags, and aliases (a few lines of them can stand for
gigabytes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

import yaml

from gyoza.project.errors import Problem

Path: TypeAlias = tuple[str, ...]
_MAX_DEPTH: Final = 64
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAGS: Final = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)


@dataclass(slots=True)
class Lines:
    """A parsed file.

    Attributes:
        value: Its plain value.
        lines: The line of every value by its path, counted from 1.
        written: The text of every plain scalar by its path, as it was written.
        problems: What YAML itself has against it.
    """

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict[Path, int])
    written: dict[Path, str] = field(default_factory=dict[Path, str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def line_of(self, path: Path) -> int:
        """Return the line of a value, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> Lines:
    """Parse YAML; what is wrong with it is in the answer's problems."""
    found = Lines()
    try:
        aliases = [e for e in yaml.parse(text, yaml.SafeLoader) if isinstance(e, yaml.AliasEvent)]
        if aliases:
            found.problems += [_alias(event) for event in aliases]
            return found
        node = yaml.compose(text, yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        found.problems.append(_syntax(error))
        return found
    found.value = None if node is None else _value(node, (), found)
    return found


def _value(node: yaml.Node, path: Path, found: Lines) -> Any:
    line = node.start_mark.line + 1
    found.lines[path] = line
    if len(path) > _MAX_DEPTH:
        found.problems.append(Problem(line, (), f"nested deeper than {_MAX_DEPTH} levels"))
        return None
    if node.tag not in _TAGS:
        found.problems.append(
            Problem(line, (), f"a tag ({node.tag}) is not taken; plain values only")
        )
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, found)
    if isinstance(node, yaml.SequenceNode):
        items = enumerate(node.value)
        return [_value(item, (*path, str(index)), found) for index, item in items]
    return _scalar(cast("yaml.ScalarNode", node), path, found)


def _mapping(node: yaml.MappingNode, path: Path, found: Lines) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value
        if not isinstance(key, str):
            found.problems.append(Problem(line, path, "a key must be text"))
            continue
        here = (*path, key)
        if key in members:
            first = found.lines[here]
            found.problems.append(Problem(line, here, f"given twice, first on line {first}"))
            continue
        members[key] = _value(value_node, here, found)
        found.lines[here] = line
    return members


def _scalar(node: yaml.ScalarNode, path: Path, found: Lines) -> Any:
    text: str = node.value
    if node.style is not None:
        return text
    found.written[path] = text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _alias(event: yaml.AliasEvent) -> Problem:
    line = event.start_mark.line + 1 if event.start_mark else 0
    return Problem(line, (), f"an alias (*{event.anchor}) is not taken; write the value out")


def _syntax(error: yaml.YAMLError | RecursionError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        words = ", ".join(part for part in (error.context, error.problem) if part)
        return Problem(error.problem_mark.line + 1, (), f"not YAML: {words}")
    return Problem(0, (), f"not YAML: {str(error).splitlines()[0]}")

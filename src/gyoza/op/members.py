"""The members of dataclasses, TypedDicts and NamedTuples, with what is known of each.

Reads classes only; turning a member's hint into a shape is the caller's business.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any, cast

from gyoza.op import docstrings
from gyoza.op.shapes import MISSING, Entry, Shape

ReadHint = Callable[[Any], Shape]


def is_record(hint: Any) -> bool:
    """Whether it is a class with declared members."""
    if not isinstance(hint, type):
        return False
    return dataclasses.is_dataclass(hint) or _is_typed_dict(hint) or _is_named_tuple(hint)


def record_docstring(python: type) -> tuple[str, str, dict[str, str]]:
    """Title, description and the members' descriptions; what Python writes itself is nothing."""
    own = python.__doc__ or ""
    found = docstrings.parse("" if own.startswith(f"{python.__name__}(") else own)
    return found.title, found.description, found.arguments


def entries_of(python: type, read: ReadHint, words: dict[str, str]) -> Iterator[tuple[str, Entry]]:
    """Yield each member by name, in the order of the class.

    Args:
        python: The class.
        read: Makes a shape of a member's hint.
        words: Descriptions from the class's docstring.

    Raises:
        NameError: A hint names something that its module does not have.
    """
    hints = typing.get_type_hints(python, include_extras=True)
    if dataclasses.is_dataclass(python):
        members = _dataclass_members(python)
    elif _is_typed_dict(python):
        members = _typed_dict_members(python, hints)
    else:
        members = _named_tuple_members(python)
    for name, (required, default) in members.items():
        shape = read(_bare(hints[name]))
        description = shape.field.description or words.get(name, "")
        yield name, Entry(shape, required, default, description)


def _dataclass_members(python: Any) -> dict[str, tuple[bool, Any]]:
    found: dict[str, tuple[bool, Any]] = {}
    for each in dataclasses.fields(python):
        if each.init:
            has_default = each.default is not dataclasses.MISSING
            has_maker = each.default_factory is not dataclasses.MISSING
            default = each.default if has_default else MISSING
            found[each.name] = (not (has_default or has_maker), default)
    return found


def _typed_dict_members(python: Any, hints: dict[str, Any]) -> dict[str, tuple[bool, Any]]:
    # Under postponed evaluation `__required_keys__` knows `total`, but not yet `NotRequired`.
    required = cast("frozenset[str]", python.__required_keys__)
    marks = {name: _marks(hint) for name, hint in hints.items()}
    return {
        name: ("Required" in found or (name in required and "NotRequired" not in found), MISSING)
        for name, found in marks.items()
    }


def _named_tuple_members(python: Any) -> dict[str, tuple[bool, Any]]:
    defaults: dict[str, Any] = python._field_defaults
    return {
        name: (name not in defaults, defaults.get(name, MISSING))
        for name in cast("tuple[str, ...]", python._fields)
    }


def _marks(hint: Any) -> set[str]:
    found: set[str] = set()
    while name := _mark(hint):
        found.add(name)
        hint = typing.get_args(hint)[0]
    return found


def _mark(hint: Any) -> str:
    name = getattr(typing.get_origin(hint), "_name", None) or ""
    return name if name in ("Required", "NotRequired", "ReadOnly") else ""


def _bare(hint: Any) -> Any:
    if isinstance(hint, dataclasses.InitVar):
        return cast("Any", hint).type
    while _mark(hint):
        hint = typing.get_args(hint)[0]
    return hint


def _is_typed_dict(hint: Any) -> bool:
    return issubclass(hint, dict) and hasattr(cast("Any", hint), "__required_keys__")


def _is_named_tuple(hint: Any) -> bool:
    return issubclass(hint, tuple) and hasattr(cast("Any", hint), "_fields")

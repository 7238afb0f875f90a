"""Reading the models' own dictionaries: strictly, and with every problem in one error.

A ``Reader`` turns one raw value into a field's value or says what it expected. ``read_fields``
applies one reader per field. Which fields a class has is the class's own business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias, cast

from gyoza.models.json_values import copy_json, is_number, is_whole, nearest, pointer, shown
from gyoza.models.timestamps import format_time, parse_time

Reader: TypeAlias = Callable[[Any], Any]


class Unexpected(ValueError):
    """Raised by a reader; its message is what was expected, such as ``a whole number``."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong in a dictionary.

    Args:
        path: The names from the outermost dictionary down to the field.
        text: The value found and what was expected.
    """

    path: tuple[str, ...]
    text: str

    @property
    def pointer(self) -> str:
        """The JSON pointer of the field."""
        return pointer(*self.path)

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.text}" if self.path else self.text


class InvalidFields(ValueError):
    """Raised by every ``from_dict`` with all problems of the dictionary at once.

    Args:
        what: The kind of thing that was read, such as ``constraints``.
        problems: What is wrong, in the order of the dictionary.
    """

    def __init__(self, what: str, problems: list[FieldProblem]) -> None:
        super().__init__(what, problems)
        self.what = what
        self.problems = problems

    def __str__(self) -> str:
        return f"invalid {self.what}: " + "; ".join(str(problem) for problem in self.problems)


def read_fields(
    what: str,
    data: object,
    readers: Mapping[str, Reader],
    *,
    required: Collection[str] = (),
    ignore_unknown: bool = False,
) -> dict[str, Any]:
    """Read a dictionary field by field.

    Args:
        what: How an error names the whole, such as ``retry policy``.
        data: The raw dictionary.
        readers: One reader per field that may occur.
        required: The fields that must occur.
        ignore_unknown: Whether other names are passed over instead of being an error.

    Returns:
        The values of the fields that occur, ready to be keyword arguments.

    Raises:
        InvalidFields: With every unknown name, missing field and unexpected value.
    """
    if not isinstance(data, dict):
        raise InvalidFields(what, [FieldProblem((), f"got {shown(data)}, expected an object")])
    raw = cast("dict[object, object]", data)
    values: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in raw.items():
        reader = readers.get(name) if isinstance(name, str) else None
        if reader is not None:
            _read_one(cast("str", name), value, reader, values, problems)
        elif not ignore_unknown:
            problems.append(_unknown(name, readers))
    problems += [FieldProblem((name,), "missing") for name in required if name not in raw]
    if problems:
        raise InvalidFields(what, problems)
    return values


def read_named(what: str, data: object, reader: Reader) -> dict[str, Any]:
    """Read a dictionary whose keys are the user's own names, all values by the same reader.

    Raises:
        InvalidFields: With the problems of all values.
    """
    if not isinstance(data, dict):
        return read_fields(what, data, {})
    raw = cast("dict[object, object]", data)
    return read_fields(what, raw, {name: reader for name in raw if isinstance(name, str)})


def extension_fields(model: Any, names: Collection[str]) -> dict[str, Any]:
    """Return those of the named fields that differ from their defaults, in JSON's types.

    The extension rule: what the reference does not show stays out while it says nothing.
    """
    found: dict[str, Any] = {}
    for field in fields(model):
        if field.name in names:
            value = getattr(model, field.name)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if value != default:
                found[field.name] = _plain(value)
    return found


def text(value: object) -> str:
    """Read a string."""
    if isinstance(value, str):
        return value
    raise Unexpected("a string")


def flag(value: object) -> bool:
    """Read a boolean."""
    if isinstance(value, bool):
        return value
    raise Unexpected("true or false")


def whole(minimum: int | None = None) -> Reader:
    """Read an integer of at least the minimum; booleans and floats are none."""

    def read(value: object) -> int:
        if is_whole(value) and (minimum is None or value >= minimum):
            return value
        raise Unexpected("a whole number" + ("" if minimum is None else f" of at least {minimum}"))

    return read


def number(minimum: float, maximum: float = math.inf) -> Reader:
    """Read a finite number from the minimum to the maximum, both included."""
    limit = f"from {minimum} to {maximum}" if maximum < math.inf else f"of at least {minimum}"

    def read(value: object) -> float:
        if is_number(value) and minimum <= value <= maximum:
            return value
        raise Unexpected(f"a number {limit}")

    return read


def member(kind: type[Enum]) -> Reader:
    """Read the value of an enumeration's member."""

    def read(value: object) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            names = ", ".join(str(each.value) for each in kind)
            raise Unexpected(f"one of {names}") from error

    return read


def instant(value: object) -> datetime:
    """Read an ISO 8601 time with its offset (or take an aware datetime as it is)."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    try:
        return parse_time(text(value))
    except ValueError as error:
        raise Unexpected("a time such as 2031-05-04T09:08:07.000006Z") from error


def anything(value: object) -> Any:
    """Read any JSON value, copied."""
    return copy_json(value)


def mapping(value: object) -> dict[str, Any]:
    """Read an object with any values, copied."""
    if isinstance(value, dict):
        raw = cast("dict[object, object]", value)
        if all(isinstance(key, str) for key in raw):
            return copy_json(raw)
    raise Unexpected("an object")


def text_mapping(value: object) -> dict[str, str]:
    """Read an object whose values are strings, copied."""
    if isinstance(value, dict):
        raw = cast("dict[object, object]", value)
        if all(isinstance(part, str) for pair in raw.items() for part in pair):
            return dict(cast("dict[str, str]", raw))
    raise Unexpected("an object whose values are strings")


def optional(reader: Reader) -> Reader:
    """Read null as None and everything else by the reader."""

    def read(value: object) -> Any:
        if value is None:
            return None
        try:
            return reader(value)
        except Unexpected as error:
            raise Unexpected(f"{error} or null") from error

    return read


def list_of(reader: Reader) -> Reader:
    """Read a list (or tuple), each item by the reader; problems name the item's position."""

    def read(value: object) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise Unexpected("a list")
        items = cast("list[object]", value)
        named = {str(index): item for index, item in enumerate(items)}
        return list(read_named("list", named, reader).values())

    return read


def _read_one(
    name: str,
    value: object,
    reader: Reader,
    values: dict[str, Any],
    problems: list[FieldProblem],
) -> None:
    try:
        values[name] = reader(value)
    except InvalidFields as error:
        problems += [FieldProblem((name, *inner.path), inner.text) for inner in error.problems]
    except Unexpected as error:
        problems.append(FieldProblem((name,), f"got {shown(value)}, expected {error}"))


def _unknown(name: object, known: Collection[str]) -> FieldProblem:
    if not isinstance(name, str):
        return FieldProblem((), f"got the key {shown(name)}, expected only strings as keys")
    guess = nearest(name, known)
    hint = f"did you mean {guess}?" if guess else f"expected only {', '.join(known)}"
    return FieldProblem((name,), f"unknown field; {hint}")


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, datetime):
        return format_time(value)
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else copy_json(value)

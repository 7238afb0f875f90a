"""Unions in which a file could be taken for something else, found when an op is read.

A file travels as text: its path. Where a type says `File | str`, nobody can tell which it is, and
guessing by the looks of a text is not done. The same holds for alternatives that hold files within
them and cannot be told apart by their form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from gyoza.op.file_places import mentions_files
from gyoza.op.schema import json_schema
from gyoza.op.shapes import (
    Anything,
    Choice,
    FileShape,
    Items,
    Mapping,
    Model,
    Null,
    OneOf,
    Record,
    Row,
    Scalar,
    Shape,
    Text,
    walk,
)

_KINDS: Final[dict[type[Shape], str]] = {
    Anything: "any",
    Null: "null",
    Text: "text",
    FileShape: "text",
    Items: "array",
    Row: "array",
    Mapping: "object",
    Record: "object",
    Model: "object",
}
_OF_PYTHON: Final = {str: "text", bool: "boolean", int: "number", float: "number"}


def lookalike(shape: Shape) -> str:
    """Say which alternatives a file could be mixed up with; "" when there are none."""
    for union in walk(shape):
        options = _flat(union) if isinstance(union, OneOf) else []
        for holder in filter(holds_files, options):
            for other in options:
                if other is not holder and _could_be(holder, other):
                    return _words(holder, other)
    return ""


def holds_files(shape: Shape) -> bool:
    """Whether a value of the shape is a file, or has one within it."""
    return any(
        isinstance(part, FileShape) or (isinstance(part, Model) and mentions_files(_schema(part)))
        for part in walk(shape)
    )


@dataclass(frozen=True)
class _Members:
    """What is known of an object's members.

    Attributes:
        required: Names of those that must be there.
        known: Names of all; None when there may be others.
        tags: The only texts that a member may hold.
    """

    required: set[str]
    known: set[str] | None
    tags: dict[str, set[str]]


def _words(holder: Shape, other: Shape) -> str:
    if isinstance(holder, FileShape):
        return (
            "a file travels as text, so it cannot be told from the other texts that the type "
            "takes; make it a member of its own"
        )
    pair = " and ".join(
        getattr(getattr(each, "python", None), "__name__", "") for each in (holder, other)
    )
    return (
        f"files are in one of two types that look alike ({pair}); give each a member with a "
        'text of its own, such as kind: Literal["a"]'
    )


def _flat(union: OneOf) -> list[Shape]:
    found: list[Shape] = []
    for option in union.options:
        found += _flat(option) if isinstance(option, OneOf) else [option]
    return found


def _could_be(first: Shape, second: Shape) -> bool:
    """Whether one JSON value may be of both shapes, and hold a file by one of them only."""
    if isinstance(first, FileShape) and isinstance(second, FileShape):
        return False
    if not _kinds(first) & _kinds(second):
        return False
    if isinstance(first, Items) and isinstance(second, Items):
        return _could_be(first.item, second.item)
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return _could_be(first.value, second.value)
    one, other = _members(first), _members(second)
    return one is None or other is None or not _told_apart(one, other)


def _kinds(shape: Shape) -> set[str]:
    if isinstance(shape, OneOf):
        return {kind for option in shape.options for kind in _kinds(option)}
    if isinstance(shape, Choice):
        return {_kind(value) for value, _ in shape.options}
    kind = _OF_PYTHON[shape.python] if isinstance(shape, Scalar) else _KINDS[type(shape)]
    return {"text", "null", "array", "object"} if kind == "any" else {kind}


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "text" if isinstance(value, str) else "number"


def _members(shape: Shape) -> _Members | None:
    if isinstance(shape, Record):
        required = {name for name, entry in shape.entries.items() if entry.required}
        tags = {n: _tags(e.shape) for n, e in shape.entries.items() if isinstance(e.shape, Choice)}
        return _Members(required, set(shape.entries), tags)
    if not isinstance(shape, Model):
        return None
    schema = _schema(shape)
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties", {}))
    tags = {
        name: {str(each) for each in member.get("enum", [member.get("const")])}
        for name, member in properties.items()
        if "const" in member or "enum" in member
    }
    is_closed = schema.get("additionalProperties") is False
    # A default tag is written all the same, and a value without it is read as the first that fits.
    return _Members(
        set(schema.get("required", ())) | set(tags), set(properties) if is_closed else None, tags
    )


def _tags(shape: Choice) -> set[str]:
    return {str(value) for value, _ in shape.options}


def _told_apart(one: _Members, other: _Members) -> bool:
    shared = one.tags.keys() & other.tags.keys() & one.required & other.required
    if any(not one.tags[name] & other.tags[name] for name in shared):
        return True
    return (other.known is not None and not one.required <= other.known) or (
        one.known is not None and not other.required <= one.known
    )


def _schema(model: Model) -> dict[str, Any]:
    return json_schema(model, "serialization")

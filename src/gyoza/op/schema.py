"""JSON Schema 2020-12 of shapes, self-contained.

Agrees word for word with what Pydantic makes of the same types, on the subset that both know
(titles of members apart; classes here are closed: an unknown member is refused, as Pydantic's
`extra="forbid"` does). What a schema takes is what `decode` takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final, cast

from gyoza.op import pydantic_models
from gyoza.op.constraints import keywords
from gyoza.op.encode import encode_default
from gyoza.op.files import File, file_schema
from gyoza.op.shapes import (
    MISSING,
    Anything,
    Choice,
    Entry,
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
)
from gyoza.op.text_forms import TEXT_FORMS

_DEFS: Final = "#/$defs/"
TYPE_NAMES: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}


def json_schema(shape: Shape, mode: pydantic_models.Mode = "validation") -> dict[str, Any]:
    """Return the schema of a shape; its own description is left to the caller.

    Args:
        shape: Of an input or output.
        mode: Whether values are read or written, for Pydantic models that differ.
    """
    if isinstance(shape, Model):
        own = pydantic_models.schema(shape.python, mode, f"{_DEFS}{{model}}")
        return {**own, **_examples(shape)}
    builder = _Builder(mode)
    words = dataclasses.replace(shape.field, description="")
    return builder.complete(builder.of(dataclasses.replace(shape, field=words)))


class _Builder:
    """Builds one self-contained schema: classes become `$defs`."""

    def __init__(self, mode: pydantic_models.Mode) -> None:
        self._mode: pydantic_models.Mode = mode
        self._definitions: dict[str, dict[str, Any]] = {}
        self._names: dict[type, str] = {}

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """Add the definitions; a class that only the root refers to stands at the root."""
        name = body.get("$ref", "").removeprefix(_DEFS)
        if name and not any(_refers(part, name) for part in self._definitions.values()):
            rest = {key: value for key, value in body.items() if key != "$ref"}
            body = {**self._definitions.pop(name), **rest}
        return {"$defs": self._definitions, **body} if self._definitions else body

    def of(self, shape: Shape) -> dict[str, Any]:
        """The schema of a shape, with references to classes."""
        body = {**_BUILDERS[type(shape)](self, shape), **keywords(shape), **_examples(shape)}
        if shape.field.description:
            body["description"] = shape.field.description
        return body

    def entry(self, entry: Entry) -> dict[str, Any]:
        """The schema of a member."""
        body = self.of(entry.shape)
        if entry.description:
            body["description"] = entry.description
        if entry.default is not MISSING:
            body["default"] = encode_default(entry.shape, entry.default)
        return body

    def choice(self, shape: Choice) -> dict[str, Any]:
        """An enumeration; a Literal of one value is a constant."""
        values = [value for value, _ in shape.options]
        types = {_type_of(value) for value in values}
        of_type = {"type": types.pop()} if len(types) == 1 else {}
        if shape.python is None:
            among = {"const": values[0]} if len(values) == 1 else {"enum": values}
            return {**among, **of_type}
        name, is_new = self._name(shape.python)
        if is_new:
            self._definitions[name] = {"enum": values, "title": shape.python.__name__, **of_type}
        return {"$ref": f"{_DEFS}{name}"}

    def record(self, shape: Record) -> dict[str, Any]:
        """A closed object."""
        name, is_new = self._name(shape.python)
        if is_new:
            self._definitions[name] = {}  # a class that contains itself comes here again
            body: dict[str, Any] = {
                "type": "object",
                "title": shape.python.__name__,
                "properties": {key: self.entry(entry) for key, entry in shape.entries.items()},
                "additionalProperties": False,
            }
            required = [key for key, entry in shape.entries.items() if entry.required]
            body |= {"required": required} if required else {}
            body |= {"description": shape.description} if shape.description else {}
            self._definitions[name] = body
        return {"$ref": f"{_DEFS}{name}"}

    def model(self, shape: Model) -> dict[str, Any]:
        """Pydantic's own schema; its definitions get the model's name before theirs."""
        name, is_new = self._name(shape.python)
        if is_new:
            own = pydantic_models.schema(shape.python, self._mode, f"{_DEFS}{name}.{{model}}")
            for inner, body in own.pop("$defs", {}).items():
                self._definitions[f"{name}.{inner}"] = body
            self._definitions[name] = own
        return {"$ref": f"{_DEFS}{name}"}

    def _name(self, python: type) -> tuple[str, bool]:
        known = self._names.get(python)
        if known is not None:
            return known, False
        taken = set(self._names.values())
        name, count = python.__name__, 1
        while name in taken:
            count += 1
            name = f"{python.__name__}{count}"
        self._names[python] = name
        return name, True


def _refers(part: Any, name: str) -> bool:
    if isinstance(part, dict):
        members = cast("dict[str, Any]", part)
        is_reference = members.get("$ref") == f"{_DEFS}{name}"
        return is_reference or any(_refers(inner, name) for inner in members.values())
    items = cast("list[Any]", part) if isinstance(part, list) else []
    return any(_refers(inner, name) for inner in items)


def _examples(shape: Shape) -> dict[str, Any]:
    examples = shape.field.examples
    return {"examples": [encode_default(shape, each) for each in examples]} if examples else {}


def _type_of(value: Any) -> str:
    return "null" if value is None else TYPE_NAMES[_plain_type(value)]


def _plain_type(value: Any) -> type:
    return next(python for python in TYPE_NAMES if isinstance(value, python))


def _items(builder: _Builder, shape: Items) -> dict[str, Any]:
    body = {"type": "array", "items": builder.of(shape.item)}
    return {**body, "uniqueItems": True} if shape.is_unique else body


def _row(builder: _Builder, shape: Row) -> dict[str, Any]:
    count = len(shape.items)
    body: dict[str, Any] = {"type": "array", "minItems": count, "maxItems": count}
    return {**body, "prefixItems": [builder.of(item) for item in shape.items]} if count else body


def _mapping(builder: _Builder, shape: Mapping) -> dict[str, Any]:
    values = True if shape.value == Anything() else builder.of(shape.value)
    return {"type": "object", "additionalProperties": values}


def _file(_: _Builder, shape: FileShape) -> dict[str, Any]:
    own = shape.python.media if issubclass(shape.python, File) else ""
    return file_schema(shape.field.media or own)


def _one_of(builder: _Builder, shape: OneOf) -> dict[str, Any]:
    return {"anyOf": [builder.of(option) for option in shape.options]}


def _plain(_: _Builder, shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Scalar):
        return {"type": TYPE_NAMES[shape.python]}
    if isinstance(shape, Text):
        return {"type": "string", **TEXT_FORMS[shape.python].schema}
    return {"type": "null"} if isinstance(shape, Null) else {}


_BUILDERS: Final[dict[type[Shape], Callable[[_Builder, Any], dict[str, Any]]]] = {
    Anything: _plain,
    Null: _plain,
    Scalar: _plain,
    Text: _plain,
    FileShape: _file,
    Choice: _Builder.choice,
    OneOf: _one_of,
    Items: _items,
    Row: _row,
    Mapping: _mapping,
    Record: _Builder.record,
    Model: _Builder.model,
}

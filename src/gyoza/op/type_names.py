"""The word that people read for a shape: the type names that `gyoza.models` knows.

The schema beside it is what counts; the word is a first check that must never refuse what the
schema takes.
"""

from __future__ import annotations

from typing import Any, Final

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
)

_WORDS: Final = {bool: "boolean", int: "integer", float: "float", str: "string"}
_OF_SHAPE: Final[dict[type[Shape], str]] = {
    Text: "string",
    FileShape: "file",
    Items: "array",
    Row: "array",
    Mapping: "object",
    Record: "object",
}


def type_name(shape: Shape, *, takes_null: bool = True) -> str:
    """Return the word.

    Args:
        shape: Of an input or output.
        takes_null: Whether the word has to take null if the shape does; false where null stands for
            an absent input.
    """
    words = set(_words(shape))
    if not takes_null:
        words.discard("null")
    if words == {"integer", "float"}:
        return "float"
    word = words.pop() if len(words) == 1 else "any"
    return "any" if word == "null" else word


def is_nullable(shape: Shape) -> bool:
    """Whether None is one of its values."""
    return isinstance(shape, Anything) or "null" in _words(shape)


def _words(shape: Shape) -> list[str]:
    if isinstance(shape, OneOf):
        return [word for option in shape.options for word in _words(option)]
    if isinstance(shape, Choice):
        return [_word(value) for value, _ in shape.options]
    if isinstance(shape, Scalar):
        return [_WORDS[shape.python]]
    if isinstance(shape, Model):
        return ["any" if _is_root(shape.python) else "object"]
    return ["null"] if isinstance(shape, Null) else [_OF_SHAPE.get(type(shape), "any")]


def _word(value: Any) -> str:
    kind = next((python for python in _WORDS if isinstance(value, python)), None)
    return _WORDS[kind] if kind else "null"


def _is_root(python: Any) -> bool:
    return "root" in python.model_fields and len(python.model_fields) == 1

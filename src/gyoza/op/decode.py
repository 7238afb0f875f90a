"""JSON to Python values by shape.

Takes exactly what the shape's schema takes (forms of text such as dates are checked here as well,
where a schema only notes them), and reports every problem with its place, not only the first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

from gyoza.op import pydantic_models
from gyoza.op.constraints import broken
from gyoza.op.errors import Problem, pointer, shown
from gyoza.op.file_places import file_places, replaced, value_at
from gyoza.op.files import File
from gyoza.op.protocol import ARTIFACT_KEY
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
from gyoza.op.text_forms import TEXT_FORMS

Place = tuple[str | int, ...]
Locate = Callable[[str], Path]
"""Finds a file by the path that an input names; raises ValueError with the reason if it cannot."""


class Undecodable(Exception):
    """A value is not one of its shape's.

    Attributes:
        problems: Everything that is wrong with it.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def decode(shape: Shape, value: Any, place: Place, locate: Locate = Path) -> Any:
    """Return the Python value of a JSON value.

    Args:
        shape: What the value should be.
        value: As the strict parser gives it.
        place: Steps to the value, for messages.
        locate: Finds files.

    Raises:
        Undecodable: With every problem.
    """
    return _Decoder(locate).decode(shape, value, place)


class _Decoder:
    """Decodes with one way to find files."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate

    def decode(self, shape: Shape, value: Any, place: Place) -> Any:
        """Decode any shape and check its bounds."""
        found = _DECODERS[type(shape)](self, shape, value, place)
        limits = shape.field
        checked = value if isinstance(shape, Items) else found
        wrong = broken(limits, checked) if isinstance(shape, Scalar | Items | Mapping) else ""
        if wrong:
            raise _wrong(place, wrong)
        return found

    def text(self, shape: Text, value: Any, place: Place) -> Any:
        """A value that JSON writes as text."""
        form = TEXT_FORMS[shape.python]
        if not isinstance(value, str):
            raise _unexpected(place, value, form.expected)
        try:
            return form.read(value)
        except (ValueError, ArithmeticError):
            raise _unexpected(place, value, form.expected) from None

    def file(self, shape: FileShape, value: Any, place: Place) -> Any:
        """A file that the worker has brought here."""
        if isinstance(value, dict) and ARTIFACT_KEY in value:
            words = f"the file was not brought here: expected {ARTIFACT_KEY} with nothing beside it"
            raise _wrong(place, words)
        if not isinstance(value, str) or not value:
            raise _unexpected(place, value, "the path of a file")
        try:
            path = self._locate(value)
        except ValueError as error:
            raise _wrong(place, str(error)) from None
        return path if shape.python is Path else cast("type[File]", shape.python)(path)

    def one_of(self, shape: OneOf, value: Any, place: Place) -> Any:
        """The first alternative that takes the value; one of exactly its type comes first."""
        exact = [o for o in shape.options if isinstance(o, Scalar) and o.python is type(value)]
        failures: list[Undecodable] = []
        for option in (*exact, *shape.options):
            try:
                return self.decode(option, value, place)
            except Undecodable as failure:
                failures.append(failure)
        likely = [o for o in shape.options if not isinstance(o, Null)]
        if len(likely) == 1:
            return self.decode(likely[0], value, place)
        reasons = {str(failure.problems[0].message): None for failure in failures}
        raise _wrong(place, "fits none of its types: " + "; ".join(reasons))

    def items(self, shape: Items, value: Any, place: Place) -> Any:
        """A list, tuple or set."""
        values = _list(value, place)
        if shape.is_unique:
            _refuse_twins(values, place)
        return shape.python(
            self._gather((shape.item, each, (*place, n)) for n, each in enumerate(values))
        )

    def row(self, shape: Row, value: Any, place: Place) -> Any:
        """A tuple with a shape for each place."""
        values, count = _list(value, place), len(shape.items)
        if len(values) != count:
            raise _wrong(place, f"got {len(values)} items, expected {count}")
        triples = zip(shape.items, values, range(count), strict=True)
        return tuple(self._gather((item, each, (*place, n)) for item, each, n in triples))

    def mapping(self, shape: Mapping, value: Any, place: Place) -> Any:
        """A dict."""
        values = _dict(value, place)
        found = self._gather((shape.value, each, (*place, key)) for key, each in values.items())
        return dict(zip(values, found, strict=True))

    def record(self, shape: Record, value: Any, place: Place) -> Any:
        """A dataclass, NamedTuple or TypedDict."""
        values = _dict(value, place)
        problems = [
            Problem(pointer((*place, name)), f"unknown; expected only {', '.join(shape.entries)}")
            for name in values
            if name not in shape.entries
        ]
        problems += [
            Problem(pointer((*place, name)), "missing")
            for name, entry in shape.entries.items()
            if entry.required and name not in values
        ]
        present = [name for name in shape.entries if name in values]
        triples = ((shape.entries[name].shape, values[name], (*place, name)) for name in present)
        found = self._gather(triples, problems)
        return _made(shape, dict(zip(present, found, strict=True)), place)

    def model(self, shape: Model, value: Any, place: Place) -> Any:
        """A Pydantic model; its files are found here, as Pydantic knows only their paths."""
        located = replaced(value, self._files_in(shape, value, place))
        found, problems = pydantic_models.read(shape.python, located, place)
        if problems:
            raise Undecodable(problems)
        return found

    def _files_in(self, shape: Model, value: Any, place: Place) -> dict[Place, str]:
        found: dict[Place, str] = {}
        problems: list[Problem] = []
        for inner in file_places(_schema_of(shape.python), value):
            try:
                path = self.file(FileShape(File), value_at(value, inner), (*place, *inner))
                found[inner] = str(path.path)
            except Undecodable as failure:
                problems += failure.problems
        if problems:
            raise Undecodable(problems)
        return found

    def _gather(
        self, parts: Iterable[tuple[Shape, Any, Place]], problems: list[Problem] | None = None
    ) -> list[Any]:
        found: list[Any] = []
        problems = problems or []
        for shape, value, place in parts:
            try:
                found.append(self.decode(shape, value, place))
            except Undecodable as failure:
                problems += failure.problems
        if problems:
            raise Undecodable(problems)
        return found


@functools.cache
def _schema_of(python: Any) -> dict[str, Any]:
    return pydantic_models.schema(python, "validation", "#/$defs/{model}")


def _made(shape: Record, members: dict[str, Any], place: Place) -> Any:
    try:
        return shape.python(**members)
    except (ValueError, TypeError) as error:  # what a class's own __post_init__ refuses
        raise _wrong(place, f"{shape.python.__name__} refused it: {error}") from error


def _anything(_: _Decoder, shape: Anything, value: Any, place: Place) -> Any:
    del shape, place
    return value


def _scalar(_: _Decoder, shape: Scalar, value: Any, place: Place) -> Any:
    python = shape.python
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if python is float and is_number:
        return float(value)
    if python is int and is_number and (isinstance(value, int) or value.is_integer()):
        return int(value)
    if python in (str, bool) and isinstance(value, python):
        return value
    raise _unexpected(place, value, _EXPECTED[python])


def _null(_: _Decoder, shape: Null, value: Any, place: Place) -> None:
    del shape
    if value is not None:
        raise _unexpected(place, value, "null")


def _choice(_: _Decoder, shape: Choice, value: Any, place: Place) -> Any:
    for known, python in shape.options:
        if isinstance(known, bool) == isinstance(value, bool) and known == value:
            return python
    allowed = ", ".join(shown(known) for known, _ in shape.options)
    raise _unexpected(place, value, f"one of {allowed}")


def _list(value: Any, place: Place) -> list[Any]:
    if not isinstance(value, list):
        raise _unexpected(place, value, "a list")
    return cast("list[Any]", value)


def _dict(value: Any, place: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unexpected(place, value, "an object")
    return cast("dict[str, Any]", value)


def _refuse_twins(values: list[Any], place: Place) -> None:
    seen: set[Any] = set()
    for number, value in enumerate(values):
        key = _key(value)
        if key in seen:
            raise _wrong((*place, number), f"{shown(value)} is there twice; expected unique items")
        seen.add(key)


def _key(value: Any) -> Any:
    """What equal JSON values have in common: 1 and 1.0 are equal there, 1 and true are not."""
    if isinstance(value, list):
        return ("list", *map(_key, cast("list[Any]", value)))
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return frozenset((name, _key(member)) for name, member in members)
    return (isinstance(value, bool), value)


def _unexpected(place: Place, value: Any, expected: str) -> Undecodable:
    return _wrong(place, f"got {shown(value)}, expected {expected}")


def _wrong(place: Place, message: str) -> Undecodable:
    return Undecodable([Problem(pointer(place), message)])


_EXPECTED: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}
_DECODERS: Final[dict[type[Shape], Callable[[_Decoder, Any, Any, Place], Any]]] = {
    Anything: _anything,
    Null: _null,
    Scalar: _scalar,
    Text: _Decoder.text,
    FileShape: _Decoder.file,
    Choice: _choice,
    OneOf: _Decoder.one_of,
    Items: _Decoder.items,
    Row: _Decoder.row,
    Mapping: _Decoder.mapping,
    Record: _Decoder.record,
    Model: _Decoder.model,
}

"""Python values to JSON by shape.

Every value is checked against its shape; what JSON cannot hold is refused with its place. Where
files go is decided by whoever passes `keep`.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
from collections.abc import Callable, Iterable
from collections.abc import Mapping as AnyMapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast

from gyoza.op import pydantic_models
from gyoza.op.constraints import broken
from gyoza.op.errors import OutputError, Problem, pointer, shown
from gyoza.op.files import LOCAL_FILE_KEY, File
from gyoza.op.json_text import UNWRITABLE
from gyoza.op.shapes import (
    MISSING,
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
Keep = Callable[[os.PathLike[str], Place], str]
"""Keeps a file and returns the text that stands for it; raises ValueError if it cannot."""

_BEYOND: Final = 2**63


def encode(shape: Shape, value: Any, place: Place, keep: Keep) -> Any:
    """Return the JSON value of a Python value.

    Raises:
        OutputError: The value is not one of the shape's, or JSON has no place for it.
    """
    return _Encoder(keep).encode(shape, value, place)


def encode_default(shape: Shape, value: Any) -> Any:
    """Return the JSON value of a default or an example, where a file is just its path.

    Raises:
        OutputError: As `encode`.
    """
    return encode(shape, value, (), lambda path, _: os.fspath(path))


class _Encoder:
    """Encodes with one way to keep files."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep

    def encode(self, shape: Shape, value: Any, place: Place) -> Any:
        """Encode any shape and check its bounds."""
        found = _ENCODERS[type(shape)](self, shape, _unboxed(value), place)
        is_bounded = isinstance(shape, Scalar | Items | Mapping)
        wrong = broken(shape.field, found) if is_bounded else ""
        if wrong:
            raise _wrong(place, wrong)
        return found

    def anything(self, shape: Anything, value: Any, place: Place) -> Any:
        """A value of which nothing is declared: as its own type says."""
        if value is None or isinstance(value, bool | int | float | str):
            return _checked(value.value if isinstance(value, enum.Enum) else value, place)
        if isinstance(value, File):
            return self.file(FileShape(File), value, place)
        if isinstance(value, AnyMapping):
            return self.mapping(Mapping(shape), value, place)
        if isinstance(value, list | tuple | AbstractSet):
            return self.items(Items(list, shape), value, place)
        return self._rarer(shape, value, place)

    def _rarer(self, shape: Anything, value: Any, place: Place) -> Any:
        if isinstance(value, enum.Enum):
            return self.encode(shape, value.value, place)
        if isinstance(value, os.PathLike):
            return self.file(FileShape(File), value, place)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            return {n: self.encode(shape, getattr(value, n), (*place, n)) for n in names}
        if pydantic_models.is_model(type(value)):
            return self._with_files(pydantic_models.write(value), place)
        python = next((known for known in TEXT_FORMS if isinstance(value, known)), None)
        if python is None:
            raise _unexpected(place, value, "a value that JSON can hold, a dataclass or a File")
        return self.encode(Text(python), value, place)

    def file(self, shape: FileShape, value: Any, place: Place) -> Any:
        """A file, kept."""
        del shape
        if not isinstance(value, str | os.PathLike):
            raise _unexpected(place, value, "a File or a path")
        try:
            return _checked(self._keep(File(cast("str", value)), place), place)
        except (ValueError, OSError) as error:
            if isinstance(error, OutputError):
                raise
            raise _wrong(place, str(error)) from error

    def one_of(self, shape: OneOf, value: Any, place: Place) -> Any:
        """The first alternative that takes the value; one of exactly its type comes first."""
        exact = [o for o in shape.options if getattr(o, "python", None) is type(value)]
        reasons: dict[str, None] = {}
        for option in (*exact, *shape.options):
            try:
                return self.encode(option, value, place)
            except OutputError as error:
                reasons[error.problems[0].message] = None
        raise _wrong(place, "fits none of its types: " + "; ".join(reasons))

    def items(self, shape: Items, value: Any, place: Place) -> Any:
        """A list; the items of a set in a fixed order."""
        if not isinstance(value, list | tuple | AbstractSet):
            raise _unexpected(place, value, "a list")
        members = cast("Iterable[Any]", value)
        found = [self.encode(shape.item, each, (*place, n)) for n, each in enumerate(members)]
        return sorted(found, key=_order) if isinstance(value, AbstractSet) else found

    def row(self, shape: Row, value: Any, place: Place) -> Any:
        """A tuple with a shape for each place."""
        count = len(shape.items)
        if not isinstance(value, list | tuple) or len(cast("list[Any]", value)) != count:
            raise _unexpected(place, value, f"a tuple of {count}")
        pairs = zip(shape.items, cast("list[Any]", value), strict=True)
        return [self.encode(item, each, (*place, n)) for n, (item, each) in enumerate(pairs)]

    def mapping(self, shape: Mapping, value: Any, place: Place) -> Any:
        """A dict with text keys."""
        if not isinstance(value, AnyMapping):
            raise _unexpected(place, value, "a dict")
        found: dict[str, Any] = {}
        for key, member in cast("AnyMapping[Any, Any]", value).items():
            if not isinstance(key, str):
                raise _wrong(place, f"got the key {shown(key)}, expected text; write str(key)")
            found[_checked(key, place)] = self.encode(shape.value, member, (*place, key))
        return found

    def record(self, shape: Record, value: Any, place: Place) -> Any:
        """A dataclass, NamedTuple or TypedDict."""
        is_one = isinstance(value, AnyMapping if shape.is_dict else shape.python)
        if not is_one:
            raise _unexpected(place, value, shape.python.__name__)
        members = members_of(shape, value)
        for name in members:
            if name not in shape.entries:
                raise _wrong((*place, name), f"{shape.python.__name__} has no such member")
        found: dict[str, Any] = {}
        for name, entry in shape.entries.items():
            if name in members:
                found[name] = self.encode(entry.shape, members[name], (*place, name))
            elif entry.required:
                raise _wrong((*place, name), "missing")
        return found

    def model(self, shape: Model, value: Any, place: Place) -> Any:
        """A Pydantic model."""
        if not isinstance(value, shape.python):
            raise _unexpected(place, value, shape.python.__name__)
        return self._with_files(pydantic_models.write(value), place)

    def _with_files(self, value: Any, place: Place) -> Any:
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            if set(members) == {LOCAL_FILE_KEY}:
                return self.file(FileShape(File), members[LOCAL_FILE_KEY], place)
            return {key: self._with_files(each, (*place, key)) for key, each in members.items()}
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self._with_files(each, (*place, n)) for n, each in enumerate(items)]
        return _checked(value, place)


def _anything(_: _Encoder, shape: Anything, value: Any, place: Place) -> Any:
    # Its schema does not say where files are, so that nobody could bring them on.
    return _Encoder(_refuse_file).anything(shape, value, place)


def _refuse_file(path: os.PathLike[str], place: Place) -> str:
    del path, place
    raise ValueError(
        "a file where the type is Any would arrive as mere text; declare it, "
        "for example as dict[str, File]"
    )


def members_of(shape: Record, value: Any) -> dict[str, Any]:
    """The members that a record's value has, by name."""
    if shape.is_dict:
        return dict(value)
    found = {name: getattr(value, name, MISSING) for name in shape.entries}
    return {name: member for name, member in found.items() if member is not MISSING}


def _unboxed(value: Any) -> Any:
    """Arrays and scalars of NumPy and its relatives, as plain Python."""
    to_plain = getattr(value, "tolist", None)
    return to_plain() if callable(to_plain) else value


def _scalar(_: _Encoder, shape: Scalar, value: Any, place: Place) -> Any:
    python = shape.python
    is_bool = isinstance(value, bool)
    if python is float and isinstance(value, int | float) and not is_bool:
        return _checked(float(value) if isinstance(value, float) else value, place)
    if is_bool == (python is bool) and isinstance(value, python) and python is not float:
        return _checked(python(value.value if isinstance(value, enum.Enum) else value), place)
    raise _unexpected(place, value, f"{python.__name__}")


def _text(_: _Encoder, shape: Text, value: Any, place: Place) -> Any:
    # A datetime is a date to Python, and would lose its time.
    is_other = any(
        known is not shape.python and issubclass(known, shape.python) and isinstance(value, known)
        for known in TEXT_FORMS
    )
    if is_other or not isinstance(value, shape.python):
        raise _unexpected(place, value, shape.python.__name__)
    try:
        return TEXT_FORMS[shape.python].write(value)
    except ValueError as error:
        raise _wrong(place, str(error)) from None


def _null(_: _Encoder, shape: Null, value: Any, place: Place) -> None:
    del shape
    if value is not None:
        raise _unexpected(place, value, "None")


def _choice(_: _Encoder, shape: Choice, value: Any, place: Place) -> Any:
    for known, python in shape.options:
        if value is python or (type(value) is type(python) and value == python):
            return known
    allowed = ", ".join(shown(python) for _, python in shape.options)
    raise _unexpected(place, value, f"one of {allowed}")


def _checked(value: Any, place: Place) -> Any:
    """Refuse a plain value that strict JSON has no place for."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(place, f"got {value}, which JSON cannot hold; return None or leave it out")
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and not -_BEYOND <= value < _BEYOND:
        raise _wrong(place, f"{shown(value)} is beyond 64 bits; return it as str")
    if isinstance(value, str) and UNWRITABLE.search(value):
        raise _wrong(place, "the text holds NUL or half a surrogate pair; return it as bytes")
    return value


def _order(value: Any) -> tuple[str, Any]:
    return (type(value).__name__, value if isinstance(value, str | int | float) else repr(value))


def _unexpected(place: Place, value: Any, expected: str) -> OutputError:
    kind = type(value).__name__
    words = shown(value) if kind in ("NoneType", "bool", "int", "float", "str") else kind
    return _wrong(place, f"got {words}, expected {expected}")


def _wrong(place: Place, message: str) -> OutputError:
    return OutputError([Problem(pointer(place), message)])


_ENCODERS: Final[dict[type[Shape], Callable[[_Encoder, Any, Any, Place], Any]]] = {
    Anything: _anything,
    Null: _null,
    Scalar: _scalar,
    Text: _text,
    FileShape: _Encoder.file,
    Choice: _choice,
    OneOf: _Encoder.one_of,
    Items: _Encoder.items,
    Row: _Encoder.row,
    Mapping: _Encoder.mapping,
    Record: _Encoder.record,
    Model: _Encoder.model,
}

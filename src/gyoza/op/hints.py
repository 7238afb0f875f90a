"""Type hints to shapes: one small reader per family of types, tried in order.

What no reader takes is refused with the nearest type that is taken. Members of classes are read in
`members`; nothing here looks at signatures.
"""

from __future__ import annotations

import enum
import types
import typing
from collections import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from gyoza.op import pydantic_models
from gyoza.op.constraints import constrain
from gyoza.op.errors import shown
from gyoza.op.fields import from_metadata
from gyoza.op.files import File
from gyoza.op.members import entries_of, is_record, record_docstring
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

_SEQUENCES: Final = {
    list: list,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Set: set,
    abc.MutableSet: set,
}
_DICTS: Final = (dict, abc.Mapping, abc.MutableMapping)
_NEAREST: Final = {
    "numpy.ndarray": "list[float], or File for more than a megabyte",
    "pandas.DataFrame": "Table",
    "polars.DataFrame": "Table",
    "geopandas.GeoDataFrame": "File",
    "PIL.Image.Image": "Image",
    "PIL.Image": "Image",
    "torch.Tensor": "list[float], or File for more than a megabyte",
    "builtins.complex": "tuple[float, float]",
    "builtins.bytearray": "bytes",
    "builtins.memoryview": "bytes",
    "builtins.range": "tuple[int, int]",
    "builtins.slice": "tuple[int, int]",
    "collections.deque": "list",
    "collections.OrderedDict": "dict[str, T]",
    "collections.defaultdict": "dict[str, T]",
    "collections.Counter": "dict[str, int]",
    "fractions.Fraction": "Decimal",
    "re.Pattern": "str",
    "datetime.tzinfo": "str",
    "zoneinfo.ZoneInfo": "str",
    "typing.IO": "File",
    "typing.TextIO": "File",
    "typing.BinaryIO": "File",
    "_io.BytesIO": "bytes",
    "_io.StringIO": "str",
}


class Unsupported(Exception):
    """No value of a type can travel as JSON.

    Args:
        what: The type as it is written.
        instead: The nearest type that is taken, with why where that is not plain.
    """

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"type {what} is not supported; use {instead}")


class HintReader:
    """Makes shapes from resolved hints; one reader serves one op, so that records are shared."""

    def __init__(self) -> None:
        self._records: dict[type, Record] = {}
        self._aliases: list[Any] = []

    def shape(self, hint: Any) -> Shape:
        """Return the shape of a hint.

        Raises:
            Unsupported: The hint, or one within it, is of no supported type.
        """
        for read in _READERS:
            found = read(self, hint)
            if found is not None:
                return found
        raise Unsupported(written(hint), _nearest(hint))

    def record(self, python: type) -> Record:
        """Return the shape of a class with members; a class within itself is the same shape."""
        known = self._records.get(python)
        if known is not None:
            return known
        words = record_docstring(python)
        record = Record(python, description="\n\n".join(filter(None, words[:2])))
        self._records[python] = record
        for name, entry in entries_of(python, self.shape, words[2]):
            record.entries[name] = entry
        return record

    def alias(self, hint: Any) -> Shape:
        """Return what `type X = ...` stands for."""
        if hint in self._aliases:
            raise Unsupported(written(hint), "Any, or a dataclass that contains itself")
        self._aliases.append(hint)
        try:
            return self.shape(hint.__value__)
        finally:
            self._aliases.pop()


def special(hint: Any) -> str:
    """Name of a special form such as `Annotated` or `NotRequired`, also of typing_extensions."""
    origin = typing.get_origin(hint)
    return getattr(origin, "_name", None) or getattr(origin, "__name__", "") or ""


def written(hint: Any) -> str:
    """A hint as people write it."""
    if isinstance(hint, type) and not typing.get_args(hint):
        plain = hint.__module__ in ("builtins", "__main__")
        return hint.__qualname__ if plain else f"{hint.__module__}.{hint.__qualname__}"
    return str(hint).replace("typing.", "")


def _nearest(hint: Any) -> str:
    origin: Any = typing.get_origin(hint) or hint
    name = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', '')}"
    root = f"{name.split('.', maxsplit=1)[0]}.{name.rpartition('.')[2]}"
    if name in _NEAREST or root in _NEAREST:
        return _NEAREST.get(name) or _NEAREST[root]
    if name in ("collections.abc.Callable", "builtins.type"):
        return "Literal or Enum with the names of the choices"
    if isinstance(hint, typing.TypeVar):
        return "the type itself in its place, or Any"
    return "a dataclass with members of supported types, or Any for plain JSON"


def _wrapped(reader: HintReader, hint: Any) -> Shape | None:
    if typing.get_origin(hint) is typing.Annotated:
        inner, *metadata = typing.get_args(hint)
        try:
            return constrain(reader.shape(inner), from_metadata(metadata))
        except ValueError as error:
            raise Unsupported(written(inner), f"other bounds: {error}") from None
    if hasattr(hint, "__supertype__"):
        return reader.shape(hint.__supertype__)
    return reader.alias(hint) if hasattr(hint, "__value__") else None


def _plain(_: HintReader, hint: Any) -> Shape | None:
    if hint is Any or hint is object:
        return Anything()
    if hint is None or hint is type(None):
        return Null()
    if hint in (bool, int, float, str):
        return Scalar(hint)
    return Text(hint) if hint in TEXT_FORMS else None


def _file(_: HintReader, hint: Any) -> Shape | None:
    if hint is Path:
        return FileShape(Path)
    return FileShape(hint) if isinstance(hint, type) and issubclass(hint, File) else None


def _union(reader: HintReader, hint: Any) -> Shape | None:
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return None
    return OneOf(tuple(reader.shape(option) for option in typing.get_args(hint)))


def _literal(_: HintReader, hint: Any) -> Shape | None:
    if special(hint) != "Literal":
        return None
    values = typing.get_args(hint)
    pairs = [(v.value if isinstance(v, enum.Enum) else v, v) for v in values]
    return Choice(_json_options(pairs, written(hint)))


def _enum(_: HintReader, hint: Any) -> Shape | None:
    if not (isinstance(hint, type) and issubclass(hint, enum.Enum)):
        return None
    pairs = [(member.value, member) for member in hint]
    if not pairs:
        raise Unsupported(written(hint), "an Enum that has members")
    return Choice(_json_options(pairs, written(hint)), hint)


def _json_options(pairs: list[tuple[Any, Any]], what: str) -> tuple[tuple[Any, Any], ...]:
    for value, _ in pairs:
        if value is not None and not isinstance(value, str | bool | int | float):
            instead = f"texts, numbers or booleans as its values, not {shown(value)}"
            raise Unsupported(what, instead)
    return tuple(pairs)


def _tuple(reader: HintReader, hint: Any) -> Shape | None:
    if hint is not tuple and typing.get_origin(hint) is not tuple:
        return None
    places = typing.get_args(hint)
    if hint in (tuple, typing.Tuple):  # noqa: UP006 - the bare old spelling
        return Items(tuple, Anything())
    if len(places) == 2 and places[1] is ...:  # noqa: PLR2004 - tuple[T, ...]
        return Items(tuple, reader.shape(places[0]))
    return Row(tuple(reader.shape(place) for place in places if place != ()))


def _items(reader: HintReader, hint: Any) -> Shape | None:
    python = _SEQUENCES.get(typing.get_origin(hint) or hint)
    if python is None:
        return None
    items = typing.get_args(hint)
    shape = reader.shape(items[0] if items else Any)
    if python in (set, frozenset) and not _is_hashable(shape):
        inner = written(items[0]) if items else "T"
        raise Unsupported(written(hint), f"list[{inner}]: a set's items must be hashable")
    return Items(python, shape)


def _is_hashable(shape: Shape) -> bool:
    if isinstance(shape, Items):
        return shape.python in (tuple, frozenset) and _is_hashable(shape.item)
    if isinstance(shape, OneOf):
        return all(_is_hashable(option) for option in shape.options)
    if isinstance(shape, Row):
        return all(_is_hashable(item) for item in shape.items)
    if isinstance(shape, Record):
        return not shape.is_dict and shape.python.__hash__ is not None
    return not isinstance(shape, Mapping | Anything | Model)


def _dict(reader: HintReader, hint: Any) -> Shape | None:
    if (typing.get_origin(hint) or hint) not in _DICTS:
        return None
    arguments = typing.get_args(hint)
    key, value = arguments if len(arguments) == 2 else (str, Any)  # noqa: PLR2004
    if reader.shape(key) != Scalar(str):
        instead = f"dict[str, {written(value)}]: JSON's keys are text"
        raise Unsupported(written(hint), instead)
    return Mapping(reader.shape(value))


def _class(reader: HintReader, hint: Any) -> Shape | None:
    if pydantic_models.is_model(hint):
        return Model(hint)
    return reader.record(cast("type", hint)) if is_record(hint) else None


_READERS: Final[tuple[Callable[[HintReader, Any], Shape | None], ...]] = (
    _wrapped,
    _plain,
    _file,
    _union,
    _literal,
    _enum,
    _tuple,
    _items,
    _dict,
    _class,
)

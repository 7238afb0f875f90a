"""The types of values that ops take and return, as data.

`hints` makes a shape from a type hint; `schema`, `decode` and `encode` each say what one means.
That all three work from the same value is what keeps schema and decoder in agreement.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gyoza.op.fields import NOTHING, Field
from gyoza.op.files import File


class _Missing(enum.Enum):
    MISSING = enum.auto()


MISSING: Final = _Missing.MISSING
"""There is no default."""


@dataclass(frozen=True)
class Shape:
    """What all shapes have.

    Attributes:
        field: Bounds and words from `Annotated`.
    """

    field: Field = field(default=NOTHING, kw_only=True)

    def with_field(self, added: Field) -> Shape:
        """The same shape with more bounds and words; the added ones count over its own."""
        return dataclasses.replace(self, field=added.over(self.field))


@dataclass(frozen=True)
class Anything(Shape):
    """Any JSON value."""


@dataclass(frozen=True)
class Null(Shape):
    """None."""


@dataclass(frozen=True)
class Scalar(Shape):
    """A bool, an int, a float or a str."""

    python: type


@dataclass(frozen=True)
class Text(Shape):
    """A value that JSON writes as text of a certain form, such as a date."""

    python: type


@dataclass(frozen=True)
class FileShape(Shape):
    """A file, given to the author as a `File` of this class, or as a `Path`."""

    python: type[File | Path]


@dataclass(frozen=True)
class Choice(Shape):
    """One of some values.

    Attributes:
        options: Each value as JSON has it and as Python has it.
        python: The Enum, or None for a Literal.
    """

    options: tuple[tuple[Any, Any], ...]
    python: type[enum.Enum] | None = None


@dataclass(frozen=True)
class OneOf(Shape):
    """A value of one of these shapes; the first that takes it counts."""

    options: tuple[Shape, ...]


@dataclass(frozen=True)
class Items(Shape):
    """Any number of equal items: a list, tuple, set or frozenset."""

    python: type
    item: Shape

    @property
    def is_unique(self) -> bool:
        """No item twice."""
        return self.python in (set, frozenset)


@dataclass(frozen=True)
class Row(Shape):
    """A tuple with a shape for each place."""

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Mapping(Shape):
    """A dict with text keys."""

    value: Shape


@dataclass(frozen=True)
class Entry:
    """A member of a record.

    Attributes:
        shape: What it takes.
        required: Whether it must be there.
        default: Its value when it is not; MISSING when the class makes one itself or it stays away.
        description: For people.
    """

    shape: Shape
    required: bool = True
    default: Any = MISSING
    description: str = ""


@dataclass(frozen=True)
class Record(Shape):
    """A dataclass, TypedDict or NamedTuple.

    Attributes:
        python: The class.
        entries: Its members by name; filled after the record is made, so that a class may contain
            itself.
        description: From the class's docstring.
    """

    python: type
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry], compare=False)
    description: str = ""

    @property
    def is_dict(self) -> bool:
        """Its values are dicts: it is a TypedDict."""
        return issubclass(self.python, dict)


@dataclass(frozen=True)
class Model(Shape):
    """A Pydantic model: knows its own schema, decodes and encodes itself."""

    python: type


def walk(shape: Shape) -> list[Shape]:
    """The shape and all within it, each record once."""
    found: list[Shape] = []
    seen: set[type] = set()
    waiting: list[Shape] = [shape]
    while waiting:
        current = waiting.pop()
        found.append(current)
        if isinstance(current, Record):
            if current.python in seen:
                continue
            seen.add(current.python)
        waiting.extend(parts(current))
    return found


def parts(shape: Shape) -> list[Shape]:
    """The shapes directly within a shape."""
    if isinstance(shape, OneOf):
        return list(shape.options)
    if isinstance(shape, Items | Mapping):
        return [shape.item if isinstance(shape, Items) else shape.value]
    if isinstance(shape, Record):
        return [entry.shape for entry in shape.entries.values()]
    return list(shape.items) if isinstance(shape, Row) else []

"""`Field`: what `Annotated` may say about a value beside its type.

Holds and merges the figures; which of them apply to which type is decided in `constraints`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, cast


@dataclass(frozen=True)
class Field:
    """Bounds and words for a parameter or a member: `Annotated[float, Field(gt=0, le=8)]`.

    Attributes:
        gt: The number is greater than this.
        ge: The number is at least this.
        lt: The number is less than this.
        le: The number is at most this.
        min_length: Least characters of a text, items of a list, or members of a dict.
        max_length: Most of the same.
        pattern: Regular expression that the text contains a match of (anchor it yourself).
        description: What the value means, for people.
        examples: Values to show to people.
        media: Media type of a file, such as `image/tiff`.
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    description: str = ""
    examples: tuple[Any, ...] | list[Any] = ()
    media: str = ""

    def given(self) -> dict[str, Any]:
        """What is set, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) not in (None, "", (), [])
        }

    def over(self, other: Field) -> Field:
        """Both together; where both set the same, this one counts."""
        return Field(**{**other.given(), **self.given()})

    def only(self, names: Iterable[str]) -> Field:
        """The part of it that has these names."""
        kept = set(names)
        return Field(**{name: value for name, value in self.given().items() if name in kept})


NOTHING: Final = Field()
NUMBERS: Final = ("gt", "ge", "lt", "le")
LENGTHS: Final = ("min_length", "max_length")
LIMITS: Final = (*NUMBERS, *LENGTHS, "pattern")
WORDS: Final = ("description", "examples")


def from_metadata(metadata: Iterable[object]) -> Field:
    """Read what stands beside a type in `Annotated`; later items count over earlier ones.

    Anything with attributes of these names counts, so that `annotated_types.Gt` and Pydantic's own
    `Field` are understood where an author has them. What has none is not for us and passed over.
    """
    found = NOTHING
    for item in metadata:
        found = _read(item).over(found)
    return found


def _read(item: object) -> Field:
    if isinstance(item, Field):
        return item
    inner = getattr(item, "metadata", ())
    nested = from_metadata(cast("list[object]", inner)) if isinstance(inner, list) else NOTHING
    names = (*LIMITS, *WORDS)
    own: dict[str, Any] = {name: getattr(item, name, None) for name in names}
    usable = {name: value for name, value in own.items() if _is_usable(name, value)}
    return Field(**usable).over(nested)


def _is_usable(name: str, value: object) -> bool:
    if name in {"description", "pattern"}:
        return isinstance(value, str)
    if name == "examples":
        return isinstance(value, list | tuple)
    return isinstance(value, int | float) and not isinstance(value, bool)

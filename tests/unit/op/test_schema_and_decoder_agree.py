"""Hypothesis looks for a value that the schema takes and the decoder does not, or the reverse."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gyoza.op import Field
from gyoza.op.decode import Undecodable, decode
from gyoza.op.encode import encode_default
from gyoza.op.hints import HintReader
from gyoza.op.schema import json_schema


class Colour(enum.Enum):
    RED = "a"
    ONE = 1


@dataclasses.dataclass(frozen=True)
class Point:
    a: int
    b: str | None = None


class Box(TypedDict, total=False):
    a: float
    b: Point


class Pair(NamedTuple):
    a: bool
    b: int = 1


_scalars = st.sampled_from(
    [
        bool,
        int,
        float,
        str,
        type(None),
        Literal["a", 1, None],  # noqa: PYI061
        Literal[True],
        Colour,
        Annotated[int, Field(ge=0, lt=3)],
        Annotated[float, Field(gt=0, le=2)],
        Annotated[str, Field(min_length=1, max_length=2)],
        Annotated[str, Field(pattern="a")],
        Point,
        Pair,
    ]
)
_hashable = st.sampled_from([int, str, float, bool, Colour, tuple[int, str], Point])


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda item: list[item]),
        inner.map(lambda item: Annotated[list[item], Field(min_length=1, max_length=2)]),
        inner.map(lambda item: tuple[item, ...]),
        st.lists(inner, max_size=2).map(lambda items: tuple[tuple(items)]),
        inner.map(lambda item: dict[str, item]),
        inner.map(lambda item: Annotated[dict[str, item], Field(max_length=1)]),
        _hashable.map(lambda item: set[item]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1] | None),
        st.sampled_from([Box, Any]),
    )


HINTS = st.recursive(_scalars, _compound, max_leaves=3)
KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 4)
    | st.sampled_from([0.0, 1.0, 1.5, 2.5])
    | st.sampled_from(["", "a", "b", "aaa"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def _decodes(shape: Any, value: Any) -> bool:
    try:
        decode(shape, value, ())
    except Undecodable:
        return False
    return True


@settings(max_examples=400)
@given(hint=HINTS, value=VALUES)
def test_the_decoder_takes_exactly_what_the_schema_takes(hint: Any, value: Any) -> None:
    shape = HintReader().shape(hint)

    is_valid = Draft202012Validator(json_schema(shape)).is_valid(value)

    assert _decodes(shape, value) == is_valid


@settings(max_examples=400)
@given(hint=HINTS, value=VALUES)
def test_what_is_decoded_is_written_as_the_schema_takes_it(hint: Any, value: Any) -> None:
    shape = HintReader().shape(hint)
    if not _decodes(shape, value):
        return

    written = encode_default(shape, decode(shape, value, ()))

    Draft202012Validator(json_schema(shape)).validate(written)
    assert encode_default(shape, decode(shape, written, ())) == written

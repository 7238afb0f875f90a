"""On the types that both know, schemas are Pydantic's word for word, but for members' titles."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Literal, NotRequired, cast
from uuid import UUID

import pydantic
import pytest
from typing_extensions import TypedDict

from gyoza.op import Field, File
from gyoza.op.hints import HintReader
from gyoza.op.schema import json_schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Tile:
    """A tile of the map."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    x: int
    colour: Colour = Colour.RED
    names: list[str] = dataclasses.field(default_factory=list)
    scale: Annotated[float, pydantic.Field(gt=0, description="Of the tile")] = 1.0


@dataclasses.dataclass
class Tree:
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    value: int
    children: list[Tree] = dataclasses.field(default_factory=list)


class Box(TypedDict):
    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc]  # noqa: RUF012

    tile: Tile
    label: NotRequired[str]


class Model(pydantic.BaseModel):
    tile: Tile
    tree: Tree | None = None


HINTS: list[Any] = [
    bool, int, float, str, None, Any,
    Literal["a", "b"], Literal["a"], Literal[1, "a", None], Literal[None], Colour,  # noqa: PYI061
    int | None, int | str | None,
    list[int], list, Sequence[int], set[int], frozenset[str], tuple[int, ...], tuple[int, str],
    tuple[()], dict, dict[str, int], dict[str, Tile | None],
    Tile, Tree, Box, list[Tile], list[Colour], tuple[Tile, Tile],
    datetime, date, time, timedelta, UUID,
    Model, Annotated[int, pydantic.Field(ge=1, le=3)],
]  # fmt: skip
BOUNDS: list[tuple[Any, dict[str, Any]]] = [
    (int, {"gt": 0, "le": 8, "examples": [3]}),
    (float, {"ge": 0.5, "lt": 8}),
    (str, {"min_length": 1, "max_length": 3, "pattern": "^a"}),
    (list[int], {"min_length": 1, "max_length": 3}),
    (set[int], {"min_length": 1}),
    (dict[str, int], {"max_length": 2}),
    (int | None, {"gt": 0}),
]


def without_titles_of_members(schema: Any) -> Any:
    if isinstance(schema, dict):
        members = {key: without_titles_of_members(value) for key, value in schema.items()}
        for member in members.get("properties", {}).values():
            member.pop("title", None)
        return members
    if isinstance(schema, list):
        return [without_titles_of_members(item) for item in schema]
    return schema


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_a_type_has_pydantics_schema(hint: Any) -> None:
    expected = pydantic.TypeAdapter(hint).json_schema()

    schema = json_schema(HintReader().shape(hint))

    assert without_titles_of_members(schema) == without_titles_of_members(expected)


@pytest.mark.parametrize(("hint", "bounds"), BOUNDS, ids=str)
def test_bounds_have_pydantics_keywords(hint: Any, bounds: dict[str, Any]) -> None:
    bounded: Any = cast("Any", Annotated)[hint, pydantic.Field(**bounds)]
    expected = pydantic.TypeAdapter(bounded).json_schema()

    assert json_schema(HintReader().shape(Annotated[hint, Field(**bounds)])) == expected


def test_a_model_within_other_types_brings_its_definitions_along() -> None:
    schema = json_schema(HintReader().shape(list[Model]))

    assert set(schema["$defs"]) == {"Model", "Model.Tile", "Model.Colour", "Model.Tree"}
    assert schema["$defs"]["Model"]["properties"]["tile"] == {"$ref": "#/$defs/Model.Tile"}


def test_a_model_may_hold_files() -> None:
    class Scene(pydantic.BaseModel):
        image: File

    schema = json_schema(HintReader().shape(Scene))

    assert schema["properties"]["image"]["format"] == "gyoza-file"

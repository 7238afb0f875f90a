from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from gyoza.models import InputSpec
from gyoza.op import BadInput, Field, File, Image, Table
from gyoza.op.decode import Undecodable, decode
from gyoza.op.encode import encode_default
from gyoza.op.hints import HintReader
from gyoza.op.schema import json_schema
from gyoza.op.type_names import type_name

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "types.md"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Scene:
    image: File
    masks: list[Image] = field(default_factory=list[Image])


@dataclass
class Tile:
    """A tile."""

    x: int
    names: list[str] = field(default_factory=list)
    colour: Colour = Colour.RED


@dataclass
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


class Box(TypedDict):
    width: float
    label: NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Person(BaseModel):
    name: str
    born: date


AT = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))
ID = UUID("123e4567-e89b-12d3-a456-426614174000")

# As the document writes it, the hint, values that come back equal, JSON that is refused.
ROWS: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("bool", bool, [True, False], [1, "true", None]),
    ("int", int, [0, -7, 2**63 - 1], [1.5, True, "1", None]),
    ("float", float, [0.0, 1.5, -1e300], [True, "1.5", None]),
    ("str", str, ["", "tile \u00e4"], [1, None, ["a"]]),
    ("Annotated[float, Field(gt=0, le=8)]", Annotated[float, Field(gt=0, le=8)], [8.0], [0, 8.1]),
    (
        'Annotated[str, Field(min_length=2, pattern="^a")]',
        Annotated[str, Field(min_length=2, pattern="^a")],
        ["ab"],
        ["a", "ba"],
    ),
    ('Literal["a", "b"]', Literal["a", "b"], ["a"], ["c", 1, None]),
    ("Literal[1, 2]", Literal[1, 2], [2], [3, True, "1"]),
    ("Enum", Colour, [Colour.BLUE], ["RED", 1]),
    ("IntEnum", Level, [Level.HIGH], [3, "2", True]),
    ("int | None", int | None, [3, None], ["3", 1.5]),
    ("int | str", int | str, [3, "x"], [1.5, None]),
    ("list[int]", list[int], [[], [1, 1]], [1, ["a"], {"0": 1}]),
    ("Sequence[int]", Sequence[int], [[1, 2]], ["12", [None]]),
    ("set[str]", set[str], [{"a", "b"}, set()], [["a", "a"], "a"]),
    ("frozenset[int]", frozenset[int], [frozenset({1, 2})], [[1, 1.0], [True]]),
    ("tuple[int, ...]", tuple[int, ...], [(1, 2, 3), ()], [["a"], 1]),
    ("tuple[int, str]", tuple[int, str], [(1, "a")], [[1], [1, "a", 2], ["a", 1]]),
    ("dict[str, int]", dict[str, int], [{"a": 1}, {}], [{"a": "b"}, [1]]),
    (
        "dataclass",
        Tile,
        [Tile(1), Tile(1, ["a"], Colour.BLUE)],
        [{}, {"x": "a"}, {"x": 1, "y": 2}, []],
    ),
    ("dataclass in itself", Tree, [Tree(1, [Tree(2)])], [{"value": 1, "children": [{}]}]),
    ("TypedDict", Box, [{"width": 1.0}, {"width": 1.0, "label": "a"}], [{}, {"width": 1, "z": 1}]),
    ("NamedTuple", Pair, [Pair(1), Pair(1, "b")], [[1, "a"], {"right": "a"}]),
    ("Pydantic model", Person, [Person(name="a", born=date(2000, 1, 2))], [{"name": 1}, []]),
    ("datetime", datetime, [AT, AT.replace(tzinfo=None), AT.astimezone(EAST)], [1]),
    ("date", date, [date(2026, 1, 31)], [20260131]),
    ("time", time, [time(12, 30), time(12, 30, 1, 5)], [12]),
    ("timedelta", timedelta, [timedelta(1, 2, 3), -timedelta(hours=1)], [60]),
    ("UUID", UUID, [ID], [1]),
    ("Decimal", Decimal, [Decimal("1.10"), Decimal("-1E+3")], [1.1, "1,1", "NaN"]),
    ("bytes", bytes, [b"", b"\x00\xff"], [1, [0]]),
    ("File", File, [File("/in/a.bin")], [1, "", {}, {"path": "a"}]),
    ("Image", Image, [Image("/in/a.png")], [1, None]),
    ("Table", Table, [Table("/in/a.csv")], [1, None]),
    ("Path", Path, [Path("/in/a.bin")], [1, None]),
    ("list[File]", list[File], [[File("/in/a"), File("/in/b")]], ["/in/a", [1]]),
    ("dict[str, File]", dict[str, File], [{"x": File("/in/a")}, {}], ["/in/a", {"x": 1}]),
    ("File | None", File | None, [File("/in/a"), None], [1, []]),
    ("dataclass with a File", Scene, [Scene(File("/in/a")), Scene(File("b"), [Image("c")])], [{}]),
    ("Any", Any, [None, 1, "a", [1, {"b": None}]], []),
    ("object", object, [None, True], []),
]  # fmt: skip
# A schema only notes these forms (JSON Schema 2020-12, section 7.2.1), the decoder checks them.
FORMS: list[tuple[Any, list[str]]] = [
    (datetime, ["2026-01-31", "2026-02-30T12:00:00Z", "now", "2026-01-31T12:00"]),
    (date, ["20260131", "2026-02-30", "2026-W05-1"]),
    (time, ["12", "25:00:00", "noon"]),
    (timedelta, ["P", "PT", "1h", "P1Y", "PT1.5M"]),
    (UUID, ["123e4567e89b12d3a456426614174000", "x"]),
    (bytes, ["a", "\u00e4", "a==="]),
]


@pytest.mark.parametrize(("name", "hint", "values", "refused"), ROWS, ids=[row[0] for row in ROWS])
class TestEveryRowOfTheTable:
    def test_values_come_back_equal_and_of_the_same_type(
        self, name: str, hint: Any, values: list[Any], refused: list[Any]
    ) -> None:
        shape = HintReader().shape(hint)

        decoded = [decode(shape, encode_default(shape, value), ()) for value in values]

        assert decoded == values
        assert [type(value) for value in decoded] == [type(value) for value in values]

    def test_the_schema_is_sound_and_takes_what_is_written(
        self, name: str, hint: Any, values: list[Any], refused: list[Any]
    ) -> None:
        shape = HintReader().shape(hint)
        schema = json_schema(shape)

        Draft202012Validator.check_schema(schema)

        for value in values:
            Draft202012Validator(schema).validate(encode_default(shape, value))

    def test_schema_and_decoder_refuse_the_same(
        self, name: str, hint: Any, values: list[Any], refused: list[Any]
    ) -> None:
        shape = HintReader().shape(hint)
        validator = Draft202012Validator(json_schema(shape))

        for value in refused:
            assert not validator.is_valid(value), value
            with pytest.raises(Undecodable):
                decode(shape, value, ())

    def test_the_type_name_takes_what_the_schema_takes(
        self, name: str, hint: Any, values: list[Any], refused: list[Any]
    ) -> None:
        shape = HintReader().shape(hint)
        spec = InputSpec(type_name(shape))

        problems = {spec.problem(encode_default(shape, value)) for value in values}

        assert problems == {None}

    def test_the_document_has_the_row_with_its_type_name(
        self, name: str, hint: Any, values: list[Any], refused: list[Any]
    ) -> None:
        shape = HintReader().shape(hint)
        cells = [
            [cell.strip() for cell in line.replace("\\|", "\x00").split("|")]
            for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
            if line.startswith("|")
        ]
        rows = {cell[1].replace("\x00", "|").strip("`"): cell[2].strip("`") for cell in cells}

        assert rows.get(name) == type_name(shape)


@pytest.mark.parametrize(("hint", "texts"), FORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_text_of_another_form_is_refused_with_an_example(hint: Any, texts: list[str]) -> None:
    shape = HintReader().shape(hint)

    for text in texts:
        with pytest.raises(Undecodable, match="expected"):
            decode(shape, text, ())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PT1H30M", timedelta(hours=1, minutes=30)),
        ("P2W", timedelta(weeks=2)),
        ("-PT0.5S", timedelta(seconds=-0.5)),
    ],
)
def test_durations_are_read_as_iso_8601_writes_them(text: str, value: timedelta) -> None:
    assert decode(HintReader().shape(timedelta), text, ()) == value


def test_every_problem_of_a_value_is_reported_with_its_place() -> None:
    shape = HintReader().shape(dict[str, list[Tile]])

    with pytest.raises(Undecodable) as caught:
        decode(shape, {"a": [{"x": "one", "y": 2}, {}], "b/c": 1}, ("tiles",))

    assert [problem.pointer for problem in caught.value.problems] == [
        "/tiles/a/0/y",
        "/tiles/a/0/x",
        "/tiles/a/1/x",
        "/tiles/b~1c",
    ]


def test_a_file_that_was_not_brought_here_says_so() -> None:
    value = {"$artifact": {"sha256": "0" * 64, "size_bytes": 1}}

    with pytest.raises(Undecodable, match="not brought here"):
        decode(HintReader().shape(File), value, ())


def test_bad_input_that_an_author_raises_has_only_words() -> None:
    assert str(BadInput("scene has no red band")) == "scene has no red band"


def test_files_within_a_model_are_found_and_missed_like_any_others(tmp_path: Path) -> None:
    class Page(BaseModel):
        scan: File
        extras: list[File | None] = []

    def locate(path: str) -> Path:
        if path == "none":
            raise ValueError("there is no file none")
        return tmp_path / path

    shape = HintReader().shape(list[Page])

    (page,) = decode(shape, [{"scan": "a", "extras": ["b", None]}], (), locate)
    with pytest.raises(Undecodable, match="/pages/0/extras/0: there is no file none"):
        decode(shape, [{"scan": "a", "extras": ["none"]}], ("pages",), locate)

    assert page == Page(scan=File(tmp_path / "a"), extras=[File(tmp_path / "b"), None])

from __future__ import annotations

import time
from typing import Any

import pytest

from gyoza.op.file_places import Place, file_places, replaced
from gyoza.op.files import file_schema

FILE = file_schema("image/png")
TEXT = {"type": "string"}
NULL = {"type": "null"}
NODE = {
    "type": "object",
    "properties": {"icon": FILE, "children": {"items": {"$ref": "#/$defs/Node"}}},
}


def tagged(tag: str, value: Any) -> dict[str, Any]:
    properties = {"kind": {"const": tag}, "value": value}
    return {"type": "object", "properties": properties, "required": ["kind", "value"]}


@pytest.mark.parametrize(
    ("schema", "value", "places"),
    [
        (FILE, "a", [()]),
        (FILE, None, []),
        (FILE, 7, [()]),
        (TEXT, "files/a", []),
        ({}, "files/a", []),
        (True, "files/a", []),
        ({"items": FILE}, ["a", "b"], [(0,), (1,)]),
        ({"prefixItems": [TEXT, FILE], "items": TEXT}, ["a", "b", "c"], [(1,)]),
        ({"properties": {"f": FILE}}, {"f": "a", "g": "a"}, [("f",)]),
        ({"additionalProperties": FILE}, {"x": "a", "y": "b"}, [("x",), ("y",)]),
        ({"properties": {"t": TEXT}, "additionalProperties": FILE}, {"t": "a", "x": "b"}, [("x",)]),
        ({"anyOf": [FILE, NULL]}, "a", [()]),
        ({"anyOf": [FILE, NULL]}, None, []),
        ({"anyOf": [TEXT, FILE]}, "a", []),
        ({"anyOf": [{"type": "array", "items": TEXT}, FILE]}, "a", [()]),
        ({"allOf": [{"properties": {"f": FILE}}]}, {"f": "a"}, [("f",)]),
        (
            {"oneOf": [tagged("text", TEXT), tagged("file", FILE)]},
            {"kind": "file", "value": "a"},
            [("value",)],
        ),
        (
            {"oneOf": [tagged("text", TEXT), tagged("file", FILE)]},
            {"kind": "text", "value": "a"},
            [],
        ),
        (
            {"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"},
            {"icon": "a", "children": [{"icon": "b"}, {"children": [{"icon": "c"}]}]},
            [("icon",), ("children", 0, "icon"), ("children", 1, "children", 0, "icon")],
        ),
        ({"$defs": {"a/b": FILE}, "items": {"$ref": "#/$defs/a~1b"}}, ["a"], [(0,)]),
        ({"$defs": {"f": FILE}, "items": {"$ref": "#/$defs/gone"}}, ["a"], []),
        ({"$defs": {"f": FILE}, "items": {"$ref": "https://example.org/f"}}, ["a"], []),
    ],
)
def test_files_are_where_the_schema_says(schema: Any, value: Any, places: list[Place]) -> None:
    assert file_places(schema, value) == places


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#", "x": FILE},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "x": FILE},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}, "f": FILE},
         "$ref": "#/$defs/a"},
    ],
)  # fmt: skip
def test_a_schema_that_leads_to_itself_ends(schema: Any) -> None:
    assert file_places(schema, ["a"]) == []


def test_a_schema_made_to_take_for_ever_does_not() -> None:
    again = {"$ref": "#/$defs/t"}
    option = {"type": "array", "items": again}
    leaf = {"type": "integer"}
    schema = {"$defs": {"t": {"anyOf": [*([option] * 8), leaf]}, "f": FILE}, **again}
    value: Any = "never an integer"
    for _ in range(50):
        value = [value]
    begun = time.monotonic()

    assert file_places(schema, value) == []
    assert time.monotonic() - begun < 1


def test_other_values_are_put_in_place_and_the_first_is_left_as_it_was() -> None:
    value = {"a": ["x", "y"], "b": "x"}

    assert replaced(value, {("a", 1): 7}) == {"a": ["x", 7], "b": "x"}
    assert value == {"a": ["x", "y"], "b": "x"}

"""What a person, and a program, is told about the difference of two definitions."""

from __future__ import annotations

from typing import Any, Final

import pytest

from gyoza.models import OpDefinition
from gyoza.project.changes import changed_fields, changes_in_words
from gyoza.project.schema_words import schema_words

INPUTS: Final = {"tile": {"type": "file"}, "top": {"type": "integer", "schema": {"minimum": 1}}}


def an_op(version: str = "1", inputs: dict[str, Any] = INPUTS, **more: Any) -> OpDefinition:
    document = {"id": "lines", "version": version, "image": "lines:1", "input_specs": inputs}
    return OpDefinition.from_dict({**document, **more})


def said(old: OpDefinition | None, new: OpDefinition) -> list[str]:
    return [str(change) for change in changes_in_words(old, new)]


def test_a_new_op_is_told_without_its_defaults() -> None:
    assert said(None, an_op()) == [
        "+ version: 1",
        "+ image: lines:1",
        "+ inputs.tile: file",
        "+ inputs.top: integer, at least 1",
    ]


def test_the_same_definition_has_no_changes_whenever_it_was_made() -> None:
    assert said(an_op(createdAt="2031-05-04T09:08:07Z"), an_op()) == []
    assert changed_fields(an_op(createdAt="2031-05-04T09:08:07Z"), an_op()) == []


def test_inputs_are_compared_in_words_with_their_bounds_and_defaults() -> None:
    top = {"type": "integer", "required": False, "default": 3, "schema": {"maximum": 9}}

    assert said(an_op(), an_op("2", {"top": top, "lang": {"type": "string"}})) == [
        "~ version: 1 -> 2",
        "~ inputs.top: integer, at least 1 -> integer, at most 9, default 3",
        "+ inputs.lang: string",
        "- inputs.tile: file",
    ]


def test_what_words_leave_out_is_named_by_its_place() -> None:
    def of(least: int) -> dict[str, Any]:
        defined = {"P": {"type": "object", "properties": {"x": {"minimum": least}}}}
        return {"p": {"type": "object", "schema": {"$ref": "#/$defs/P", "$defs": defined}}}

    assert said(an_op(inputs=of(1)), an_op(inputs=of(2))) == [
        "~ inputs.p.schema.$defs.P.properties.x.minimum: 1 -> 2"
    ]


def test_a_description_is_a_change_of_its_own() -> None:
    inputs = {**INPUTS, "tile": {"type": "file", "description": "A tile."}}

    assert said(an_op(), an_op(inputs=inputs)) == ['+ inputs.tile.description: "A tile."']


def test_programs_get_each_field_with_both_values() -> None:
    fields = changed_fields(an_op(), an_op("2", constraints={"cpu": 2}))

    assert fields == [
        {"field": "constraints.cpu", "before": None, "after": 2},
        {"field": "version", "before": "1", "after": "2"},
    ]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": "a"}, '"a"'),
        ({"type": "string", "minLength": 1, "maxLength": 8}, "string, 1 to 8 characters"),
        ({"type": "string", "pattern": "^a"}, 'string, pattern "^a"'),
        ({"type": "number", "exclusiveMinimum": 0}, "number, more than 0"),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "list of integer, at most 3 items",
        ),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/P"}]}, "string or P"),
        (
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
            "object {a: any, b?: any}",
        ),
        (False, "nothing"),
    ],
)
def test_a_schema_in_words(schema: Any, words: str) -> None:
    assert schema_words(schema) == words

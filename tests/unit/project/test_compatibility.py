"""Which changes break callers, as a table: old, new, what is said."""

from __future__ import annotations

from typing import Any, Final

import pytest

from gyoza.models import OpDefinition
from gyoza.project.compatibility import breaking_changes

Specs = dict[str, Any]

INT: Final = {"type": "integer"}
OPTIONAL: Final = {"type": "integer", "required": False}
DEFAULTED: Final = {"type": "integer", "required": False, "default": 1}
UP_TO: Final = {"type": "integer", "schema": {"type": "integer", "maximum": 10}}
UP_TO_LESS: Final = {"type": "integer", "schema": {"type": "integer", "maximum": 5}}
CHOICE: Final = {"type": "string", "schema": {"enum": ["a", "b"]}}
ONE_CHOICE: Final = {"type": "string", "schema": {"enum": ["a"]}}

HARMLESS_INPUTS: Final = [
    ({}, {}),
    ({"a": INT}, {"a": INT}),
    ({"a": INT}, {"a": {"type": "int"}}),
    ({"a": INT}, {"a": {"type": "float"}}),
    ({"a": INT}, {"a": {"type": "any"}}),
    ({"a": INT}, {"a": OPTIONAL}),
    ({"a": OPTIONAL}, {"a": {**OPTIONAL, "description": "Why."}}),
    ({"a": INT}, {"a": INT, "b": OPTIONAL}),
    ({"a": DEFAULTED}, {"a": {**DEFAULTED, "default": 2}}),
    ({"a": UP_TO_LESS}, {"a": UP_TO}),
    ({"a": UP_TO}, {"a": INT}),
    ({"a": ONE_CHOICE}, {"a": CHOICE}),
    ({"a": {"type": "Tile"}}, {"a": {"type": "Tile"}}),
]
BREAKING_INPUTS: Final = [
    ({"a": INT, "b": INT}, {"a": INT}, "inputs.b", "removed; whoever sends it is refused"),
    ({"a": INT}, {}, "inputs.a", "removed; the op no longer knows it"),
    ({"a": INT}, {"a": INT, "b": INT}, "inputs.b", "new and required; whoever leaves it out is"),
    ({}, {"a": OPTIONAL}, "inputs", "any was taken, now only those that are declared"),
    ({"a": OPTIONAL}, {"a": INT}, "inputs.a", "required now; whoever leaves it out is refused"),
    ({"a": OPTIONAL}, {"a": DEFAULTED}, "inputs.a", "null is refused now"),
    ({"a": INT}, {"a": {"type": "string"}}, "inputs.a", "type: integer -> string"),
    ({"a": {"type": "float"}}, {"a": INT}, "inputs.a", "type: float -> integer"),
    ({"a": {"type": "any"}}, {"a": INT}, "inputs.a", "type: any -> integer"),
    ({"a": {"type": "Tile"}}, {"a": {"type": "Scene"}}, "inputs.a", "type: Tile -> Scene"),
    ({"a": {"type": "string"}}, {"a": {"type": "file"}}, "inputs.a", "type: string -> file"),
    ({"a": UP_TO}, {"a": UP_TO_LESS}, "inputs.a", "takes less: maximum 10 -> 5"),
    ({"a": INT}, {"a": UP_TO}, "inputs.a", "takes less: maximum none -> 10"),
    ({"a": CHOICE}, {"a": ONE_CHOICE}, "inputs.a", 'takes less: values "a", "b" -> "a"'),
]
HARMLESS_OUTPUTS: Final = [
    ({}, {}),
    ({}, {"a": INT}),
    ({"a": INT}, {"a": INT, "b": INT}),
    ({"a": {"type": "float"}}, {"a": INT}),
    ({"a": {"type": "any"}}, {"a": INT}),
    ({"a": UP_TO}, {"a": UP_TO_LESS}),
    ({"a": CHOICE}, {"a": ONE_CHOICE}),
]
BREAKING_OUTPUTS: Final = [
    ({"a": INT, "b": INT}, {"a": INT}, "outputs.b", "removed; whoever reads it finds nothing"),
    ({"a": INT}, {}, "outputs.a", "removed; whoever reads it finds nothing"),
    ({"a": INT}, {"a": {"type": "float"}}, "outputs.a", "type: integer -> float"),
    ({"a": INT}, {"a": {"type": "any"}}, "outputs.a", "type: integer -> any"),
    ({"a": {"type": "Tile"}}, {"a": {"type": "Scene"}}, "outputs.a", "type: Tile -> Scene"),
    ({"a": UP_TO_LESS}, {"a": UP_TO}, "outputs.a", "can be something else: maximum 5 -> 10"),
    ({"a": UP_TO}, {"a": INT}, "outputs.a", "can be something else: maximum 10 -> none"),
    ({"a": ONE_CHOICE}, {"a": CHOICE}, "outputs.a", 'something else: values "a" -> "a", "b"'),
]


def an_op(inputs: Specs | None = None, outputs: Specs | None = None) -> OpDefinition:
    return OpDefinition.create("scale", "1", "scale:1", inputs, outputs)


@pytest.mark.parametrize(("old", "new"), HARMLESS_INPUTS)
def test_what_takes_at_least_as_much_breaks_no_caller(old: Specs, new: Specs) -> None:
    assert breaking_changes(an_op(old), an_op(new)) == []


@pytest.mark.parametrize(("old", "new", "place", "text"), BREAKING_INPUTS)
def test_an_input_that_takes_less_is_named(old: Specs, new: Specs, place: str, text: str) -> None:
    found = breaking_changes(an_op(old), an_op(new))

    assert [each.place for each in found] == [place]
    assert text in found[0].text


@pytest.mark.parametrize(("old", "new"), HARMLESS_OUTPUTS)
def test_what_gives_no_more_than_before_breaks_no_reader(old: Specs, new: Specs) -> None:
    assert breaking_changes(an_op(None, old), an_op(None, new)) == []


@pytest.mark.parametrize(("old", "new", "place", "text"), BREAKING_OUTPUTS)
def test_an_output_that_can_be_what_it_never_was_is_named(
    old: Specs, new: Specs, place: str, text: str
) -> None:
    found = breaking_changes(an_op(None, old), an_op(None, new))

    assert [each.place for each in found] == [place]
    assert text in found[0].text


def test_other_fields_break_nobody() -> None:
    old = an_op({"a": INT})
    new = OpDefinition.from_dict(
        {**old.to_dict(), "version": "2", "image": "scale:2", "constraints": {"cpu": 4}}
    )

    assert breaking_changes(old, new) == []

from __future__ import annotations

from typing import Any

import pytest

from gyoza.server.use_cases.json_schemas import schema_faults, value_faults


def test_a_usable_schema_has_no_faults() -> None:
    schema = {"$defs": {"p": {"minimum": 0}}, "items": {"$ref": "#/$defs/p"}}

    assert schema_faults(schema, "/s") == []


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "strng"}, "/s/type"),
        ({"properties": {"a": {"minimum": "0"}}}, "/s/properties/a/minimum"),
        ({"pattern": "("}, "/s/pattern"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/s/$schema"),
        ({"$ref": "https://example.com/schema.json"}, "/s/$ref"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "/s/items/$ref"),
        ({"allOf": [{"$ref": "#/$defs/none"}]}, "/s/allOf/0/$ref"),
    ],
)
def test_an_unusable_schema_is_refused_where_it_is_wrong(
    schema: dict[str, Any], pointer: str
) -> None:
    assert [fault.pointer for fault in schema_faults(schema, "/s")] == [pointer]


def test_every_fault_of_a_value_has_its_pointer() -> None:
    schema: dict[str, Any] = {
        "properties": {"a/b": {"type": "integer"}, "list": {"items": {"maximum": 2}}}
    }

    faults = value_faults(schema, {"a/b": "x", "list": [1, 3, 5]}, "/inputs/v")

    assert sorted(fault.pointer for fault in faults) == [
        "/inputs/v/a~1b",
        "/inputs/v/list/1",
        "/inputs/v/list/2",
    ]


def test_a_schema_that_refers_to_itself_without_end_is_a_fault_and_no_crash() -> None:
    faults = value_faults({"$ref": "#"}, 1, "/inputs/v")

    assert [fault.message for fault in faults] == ["its schema refers to itself without end"]


def test_a_huge_value_is_not_repeated_in_the_message() -> None:
    (fault,) = value_faults({"type": "integer"}, "x" * 100_000, "/v")

    assert len(fault.message) < 400


def test_an_expression_that_backtracks_for_ever_elsewhere_is_matched_at_once() -> None:
    catastrophe = "^(a+)+$"
    schema: dict[str, Any] = {
        "pattern": catastrophe,
        "patternProperties": {catastrophe: {"type": "integer"}},
        "additionalProperties": {"pattern": catastrophe},
    }
    hostile = "a" * 50_000 + "!"

    assert len(value_faults(schema, hostile, "/v")) == 1
    assert len(value_faults(schema, {hostile: hostile}, "/v")) == 1


@pytest.mark.parametrize("expression", ["(?=a)b", r"(a)\1", "(?<!x)y"])
def test_an_expression_that_needs_backtracking_is_refused_by_name(expression: str) -> None:
    schema = {"properties": {"a": {"patternProperties": {expression: {}}}}}

    (fault,) = schema_faults(schema, "/s")

    assert fault.pointer.startswith("/s/properties/a/patternProperties/")
    assert "back-references are not supported" in fault.message


def test_data_that_looks_like_a_schema_is_not_read_as_one() -> None:
    schema = {"const": {"pattern": "(?=a)"}, "properties": {"pattern": {"type": "string"}}}

    assert schema_faults(schema, "/s") == []


def test_names_that_no_rule_expects_are_refused() -> None:
    schema: dict[str, Any] = {
        "properties": {"a": True},
        "patternProperties": {"^x-": {"type": "integer"}},
        "additionalProperties": False,
    }

    faults = value_faults(schema, {"a": 1, "x-b": "no", "c": 2}, "/v")

    assert [(fault.pointer, fault.message) for fault in faults] == [
        ("/v/x-b", "'no' is not of type 'integer'"),
        ("/v", "Additional properties are not allowed ('c' was unexpected)"),
    ]


def test_expressions_on_names_and_unevaluated_names_are_not_taken_together() -> None:
    schema = {"unevaluatedProperties": False, "patternProperties": {"a": {}}}

    assert [fault.pointer for fault in schema_faults(schema, "/s")] == ["/s/unevaluatedProperties"]

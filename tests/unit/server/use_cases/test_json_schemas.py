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

from __future__ import annotations

from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.project.schema_losses import Loss, losses

LIST: Final = {"type": "array", "items": {"type": "integer"}}
CLOSED: Final = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
NODE: Final = {"$defs": {"N": {"properties": {"n": {"$ref": "#/$defs/N"}}}}, "$ref": "#/$defs/N"}

TABLE: Final = [
    ({}, {}, []),
    ({"type": "integer"}, {"type": "number"}, []),
    ({"type": "number"}, {"type": "integer"}, [((), "type", "number", "integer")]),
    ({}, {"type": "string"}, [((), "type", "anything", "string")]),
    ({"type": "string"}, {"type": ["string", "null"]}, []),
    ({"type": ["string", "null"]}, {"type": "string"}, [((), "type", "null", "string")]),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": ["null", "string"]}, []),
    ({"enum": ["a", "b"]}, {"enum": ["b", "a", "c"]}, []),
    ({"enum": ["a", "b"]}, {"type": "string"}, []),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, [((), "values", '"a", "b"', '"a"')]),
    ({"type": "string"}, {"const": "a"}, [((), "values", "", '"a"')]),
    ({"minimum": 1}, {"minimum": 0}, []),
    ({"minimum": 1}, {}, []),
    ({}, {"minimum": 1}, [((), "minimum", "", "1")]),
    ({"minimum": 1}, {"exclusiveMinimum": 1}, [((), "exclusiveMinimum", "1", "1")]),
    ({"exclusiveMinimum": 1}, {"minimum": 1}, []),
    ({"maximum": 5}, {"maximum": 4}, [((), "maximum", "5", "4")]),
    ({"maxLength": 5}, {"maxLength": 4}, [((), "maxLength", "5", "4")]),
    ({"minItems": 0}, {"minItems": 0}, []),
    ({}, {"minItems": 0}, []),
    ({}, {"maxItems": 9}, [((), "maxItems", "", "9")]),
    ({"multipleOf": 4}, {"multipleOf": 2}, []),
    ({"multipleOf": 2}, {"multipleOf": 4}, [((), "multipleOf", "2", "4")]),
    ({"pattern": "a"}, {"pattern": "b"}, [((), "pattern", '"a"', '"b"')]),
    ({"uniqueItems": True}, {}, []),
    ({}, {"uniqueItems": True}, [((), "uniqueItems", "false", "true")]),
    (LIST, {"type": "array", "items": {"type": "number"}}, []),
    (LIST, {**LIST, "items": {"type": "string"}}, [(("[]",), "type", "integer", "string")]),
    (CLOSED, {**CLOSED, "required": ["a"]}, [(("a",), "required", "no", "yes")]),
    (
        CLOSED,
        {"type": "object", "additionalProperties": False},
        [(("a",), "member", "known", "")],
    ),
    ({"type": "object"}, CLOSED, [((), "additionalProperties", "", "false")]),
    ({"not": {"const": 1}}, {"not": {"const": 2}}, [((), "not", '{"const": 1}', '{"const": 2}')]),
    (NODE, NODE, []),
    ({"allOf": [{"type": "number"}, {"minimum": 2}]}, {"type": "number", "minimum": 1}, []),
    ({}, {"allOf": [{"type": "integer"}, {"type": "array"}]}, [((), "schema", "", "nothing")]),
    ({"title": "a", "description": "b"}, {"title": "c"}, []),
    ({"type": "string"}, False, [((), "schema", "", "nothing")]),
]


@pytest.mark.parametrize(("wide", "narrow", "expected"), TABLE)
def test_what_is_no_longer_taken_is_named_with_both_sides(
    wide: dict[str, Any], narrow: Any, expected: list[tuple[Any, ...]]
) -> None:
    found = losses(wide, narrow)

    assert [(each.path, each.what, each.wider) for each in found] == [row[:3] for row in expected]
    assert all(e.narrower.startswith(row[3]) for e, row in zip(found, expected, strict=True))


def test_a_loss_deep_inside_says_where() -> None:
    def nested(least: int) -> dict[str, Any]:
        point = {"type": "object", "properties": {"x": {"type": "integer", "minimum": least}}}
        return {"$defs": {"P": point}, "type": "array", "items": {"$ref": "#/$defs/P"}}

    assert losses(nested(0), nested(3)) == [Loss(("[]", "x"), "minimum", "0", "3")]


def test_of_two_alternatives_the_one_that_is_gone_is_named() -> None:
    old = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}
    new = {"anyOf": [{"type": "string", "minLength": 4}, {"type": "boolean"}]}

    assert [(each.what, each.wider) for each in losses(old, new)] == [
        ("minLength", "1"),
        ("type", "integer"),
    ]


numbers = st.integers(-2, 3)
leaves = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number", "string", "null", "boolean"])},
        optional={
            "minimum": numbers,
            "maximum": numbers,
            "exclusiveMinimum": numbers,
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "multipleOf": st.integers(1, 3),
        },
    ),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from([0, 1, "a", None]), min_size=1)}),
    st.fixed_dictionaries({"type": st.just(["string", "null"])}),
)


def _nested(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.dictionaries(st.sampled_from(["a", "b"]), parts)
    return st.one_of(
        st.fixed_dictionaries({"anyOf": st.lists(parts, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(parts, min_size=1, max_size=2)}),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": parts}, optional={"minItems": st.integers(0, 2)}
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": members,
                "required": st.lists(st.sampled_from(["a", "b"]), unique=True),
                "additionalProperties": st.just(False),
            }
        ),
    )


schemas = st.recursive(leaves, _nested, max_leaves=4)
plain = st.one_of(numbers, st.sampled_from(["", "a", "aaa", None, True, 0.5]))
VALUES = st.one_of(
    plain, st.lists(plain, max_size=2), st.dictionaries(st.sampled_from(["a", "b", "c"]), plain)
)


@given(schemas, schemas, st.lists(VALUES, min_size=5))
def test_without_a_loss_everything_that_was_taken_still_is(
    wide: dict[str, Any], narrow: dict[str, Any], values: list[Any]
) -> None:
    before = jsonschema.Draft202012Validator(wide)
    after = jsonschema.Draft202012Validator(narrow)

    if not losses(wide, narrow):
        assert [v for v in values if before.is_valid(v) and not after.is_valid(v)] == []


@given(schemas)
def test_a_schema_loses_nothing_to_itself(schema: dict[str, Any]) -> None:
    assert losses(schema, schema) == []

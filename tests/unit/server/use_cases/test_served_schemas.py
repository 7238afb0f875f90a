"""The schema that is served takes what the server takes, and refuses what it refuses."""

from __future__ import annotations

from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.models import InputSpec, InputSpecs, OpDefinition, OutputSpec, OutputSpecs
from gyoza.models.spec_schemas import inputs_schema, outputs_schema
from gyoza.server.use_cases.op_rules import input_faults, output_faults

TREE: Final = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
    "$ref": "#/$defs/Node",
}
ANCHORED: Final = {"$defs": {"n": {"$anchor": "n", "type": "integer"}}, "$ref": "#n"}
NAMED_LIKE_WORDS: Final = {
    "$defs": {"T": {"type": "integer"}},
    "type": "object",
    "properties": {"default": {"$ref": "#/$defs/T"}, "$ref": {"type": "string"}},
}
SCHEMAS: Final = [
    None,
    {},
    {"minimum": 1},
    {"type": "integer", "maximum": 2},
    {"type": ["string", "null"]},
    {"enum": ["a", 1, None]},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "minLength": 2},
    TREE,
    ANCHORED,
    NAMED_LIKE_WORDS,
]
TYPES: Final = ["string", "int", "float", "boolean", "object", "array", "file", "any", "Tile"]
VALUES: Final = [
    *(None, True, 0, 1, 2, 0.5, "", "a", "abc", [], [1], {}),
    *({"next": None}, {"next": {"next": None}}, {"next": 1}, {"next": {"next": 2}}),
    *({"default": 1}, {"default": "x"}, {"$ref": "#/nowhere"}),
    *({"$artifact": {"sha256": "0"}}, {"$artifact": 1}),
]

types = st.sampled_from(TYPES)
schemas = st.sampled_from(SCHEMAS)
defaults = st.sampled_from([None, 1, "ab"])
input_specs = st.builds(InputSpec, types, st.booleans(), defaults, schemas)
output_specs = st.builds(OutputSpec, types, schemas)
names = st.sampled_from(["a", "b/c", "d~e"])
values = st.dictionaries(st.sampled_from(["a", "b/c", "d~e", "z"]), st.sampled_from(VALUES))


def takes(schema: dict[str, Any], value: Any) -> bool:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@given(st.dictionaries(names, input_specs), values)
def test_inputs_are_taken_by_both_or_by_neither(
    specs: dict[str, InputSpec], inputs: dict[str, Any]
) -> None:
    op = OpDefinition.create("o", "1", "i:1", InputSpecs(specs))

    assert takes(inputs_schema(op.input_specs), inputs) == (input_faults(op, inputs) == [])


@given(st.dictionaries(names, output_specs), values)
def test_outputs_are_taken_by_both_or_by_neither(
    specs: dict[str, OutputSpec], outputs: dict[str, Any]
) -> None:
    declared = OutputSpecs(specs)

    assert takes(outputs_schema(declared), outputs) == (output_faults(declared, outputs) == [])


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        (InputSpec("string"), {"type": "string"}),
        (InputSpec("string", False), {"type": ["string", "null"]}),
        (InputSpec("string", False, "x"), {"type": "string", "default": "x"}),
        (InputSpec("int", schema={"minimum": 1}), {"type": "integer", "minimum": 1}),
        (InputSpec("any"), {}),
        (InputSpec("string", description="Why."), {"type": "string", "description": "Why."}),
        (
            InputSpec("float", schema={"type": "integer"}),
            {"allOf": [{"type": "number"}, {"type": "integer"}]},
        ),
        (
            InputSpec("array", schema={"items": {"$ref": "#/$defs/T"}, "$defs": {"T": {}}}),
            {"type": "array", "items": {"$ref": "#/properties/x/$defs/T"}, "$defs": {"T": {}}},
        ),
    ],
)
def test_an_input_reads_as_a_person_would_write_it(spec: InputSpec, part: dict[str, Any]) -> None:
    assert inputs_schema(InputSpecs({"x": spec}))["properties"]["x"] == part


def test_nothing_declared_takes_every_object() -> None:
    assert inputs_schema(InputSpecs())["type"] == "object"
    assert "additionalProperties" not in inputs_schema(InputSpecs())

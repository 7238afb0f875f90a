from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from gyoza.models import (
    OP_ID_PATTERN,
    Constraints,
    Execution,
    InputSpec,
    InputSpecs,
    InputValidationError,
    OpDefinition,
    OutputSpec,
    OutputSpecs,
    OutputValidationError,
    RetryPolicy,
)

T0 = datetime(2031, 5, 4, 9, 8, 7, 6, tzinfo=UTC)
T1 = datetime(2032, 1, 1, tzinfo=UTC)


def a_definition(**fields: Any) -> OpDefinition:
    return OpDefinition.create("shout", "1.0.0", "busybox:1", now=T0, **fields)


def with_inputs(**types: Any) -> OpDefinition:
    raw = {name: {"type": kind} if isinstance(kind, str) else kind for name, kind in types.items()}
    return a_definition(input_specs=raw)


VALID = [
    ("string", ["", "hi"]),
    ("str", ["hi"]),
    ("text", ["hi"]),
    ("integer", [0, -3, 2**70]),
    ("int", [1]),
    ("Int", [1]),
    ("float", [1.5, 1, -2]),
    ("number", [1]),
    ("double", [1.0]),
    ("boolean", [True, False]),
    ("bool", [True]),
    ("object", [{}, {"a": [1]}]),
    ("dict", [{}]),
    ("json", [{}]),
    ("array", [[], [1, "a"]]),
    ("list", [[]]),
    ("file", ["https://x/y", "/tmp/z", {"$artifact": {"sha256": "00"}}]),
    ("image", ["a.png"]),
    ("any", [None, 1, "a", [], {}]),
    ("geojson", [1, "a", [], {}]),
]
INVALID = [
    ("string", [1, None, True, [], {}]),
    ("integer", [True, 1.0, 1.5, "1", None]),
    ("float", [True, "1.5", None, float("nan"), float("inf")]),
    ("boolean", [0, 1, "true", None]),
    ("object", [[], "x", None]),
    ("array", [{}, "x", None]),
    ("file", [1, {}, {"$artifact": "sha"}, {"path": "x"}, None]),
    ("geojson", [None]),
]


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in VALID for value in values]
)
def test_a_type_takes_its_values(kind: str, value: object) -> None:
    definition = a_definition(input_specs={"x": {"type": kind}}, output_specs={"x": {"type": kind}})

    definition.validate_inputs({"x": value})
    definition.validate_outputs({"x": value})


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in INVALID for value in values]
)
def test_a_type_refuses_other_values(kind: str, value: object) -> None:
    definition = a_definition(input_specs={"x": {"type": kind}}, output_specs={"x": {"type": kind}})

    with pytest.raises(InputValidationError, match=r"x: got .*, expected"):
        definition.validate_inputs({"x": value})
    with pytest.raises(OutputValidationError, match=r"x: got .*, expected"):
        definition.validate_outputs({"x": value})


def test_all_input_errors_are_reported_at_once_with_their_pointers() -> None:
    definition = with_inputs(scene="string", width="integer", **{"a/b~c": "boolean"})

    with pytest.raises(InputValidationError) as caught:
        definition.validate_inputs({"width": "9", "a/b~c": 1, "scenes": "x"})

    assert dict(zip(caught.value.pointers, caught.value.errors, strict=True)) == {
        "/scene": "scene: required input is missing, expected type string",
        "/width": "width: got '9', expected a whole number",
        "/a~1b~0c": "a/b~c: got 1, expected true or false",
        "/scenes": "scenes: not declared; did you mean scene?",
    }
    assert all(error in str(caught.value) for error in caught.value.errors)


def test_an_error_made_from_messages_alone_has_no_pointers() -> None:
    error = InputValidationError(["a is missing", "b is missing"])

    assert (error.errors, error.pointers) == (["a is missing", "b is missing"], [])
    assert str(error) == "a is missing; b is missing"
    assert pickle.loads(pickle.dumps(error)).errors == error.errors


def test_without_any_declared_input_every_input_is_taken() -> None:
    assert a_definition().prepare_inputs({"x": 1}) == {"x": 1}


def test_an_optional_input_may_be_absent_and_takes_its_default() -> None:
    definition = with_inputs(
        n={"type": "integer", "required": False, "default": 3},
        note={"type": "string", "required": False},
    )

    assert definition.prepare_inputs({}) == {"n": 3}
    assert definition.prepare_inputs({"n": 4, "note": None}) == {"n": 4, "note": None}


def test_null_does_not_stand_for_an_input_that_has_another_default() -> None:
    definition = with_inputs(n={"type": "integer", "required": False, "default": 3})

    with pytest.raises(InputValidationError, match="n: got null, expected a whole number"):
        definition.prepare_inputs({"n": None})


def test_a_required_input_is_required_even_where_a_default_is_written() -> None:
    definition = with_inputs(n={"type": "integer", "default": 3})

    with pytest.raises(InputValidationError, match="required: false"):
        definition.prepare_inputs({})


def test_prepared_inputs_share_nothing_with_the_caller_or_the_specs() -> None:
    given, default = {"a": [1]}, [1]
    definition = a_definition(
        input_specs={"a": InputSpec("array"), "b": InputSpec("array", False, default)}
    )
    default.append(2)

    prepared = definition.prepare_inputs(given)
    prepared["a"].append(3)
    prepared["b"].append(4)

    assert given == {"a": [1]}
    assert definition.prepare_inputs(given) == {"a": [1], "b": [1]}


def test_outputs_are_checked_for_missing_wrong_and_undeclared_ones() -> None:
    specs = OutputSpecs({"words": OutputSpec("integer"), "top": OutputSpec("array")})

    assert specs.check({"words": "9", "extra": 1}) == [
        ("/top", "declared output is missing, expected type array"),
        ("/words", "got '9', expected a whole number"),
        ("/extra", "not declared; expected only words, top"),
    ]
    assert specs.check({"words": 9, "top": []}) == []
    assert OutputSpecs().check({"anything": 1}) == []


def test_specs_may_be_given_ready_or_raw() -> None:
    raw = a_definition(
        input_specs={"n": {"type": "int", "required": False, "default": 1}},
        output_specs={"m": {"type": "int"}},
    )
    ready = a_definition(
        input_specs=InputSpecs({"n": InputSpec("int", required=False, default=1)}),
        output_specs=OutputSpecs({"m": OutputSpec("int")}),
    )

    assert raw == ready


def test_invalid_raw_specs_are_refused_with_every_problem() -> None:
    with pytest.raises(ValueError, match="invalid input specs") as caught:
        a_definition(input_specs={"n": {"typ": "int"}, "m": {"type": 3}, "o": "string"})

    message = str(caught.value)
    assert "n.typ: unknown field; did you mean type?" in message
    assert "n.type: missing" in message
    assert "m.type: got 3, expected a string" in message
    assert "o: got 'string', expected an object" in message


def test_a_new_definition_was_created_and_updated_now() -> None:
    definition = a_definition()

    assert definition.created_at == definition.updated_at == T0
    assert definition.to_dict()["createdAt"] == "2031-05-04T09:08:07.000006Z"


def test_an_update_changes_what_is_given_and_its_time() -> None:
    definition = a_definition(constraints=Constraints(cpu=2))

    definition.update(version="1.1.0", output_specs={"n": {"type": "int"}}, now=T1)

    assert (definition.version, definition.image) == ("1.1.0", "busybox:1")
    assert definition.output_specs.specs == {"n": OutputSpec("int")}
    assert definition.constraints == Constraints(cpu=2)
    assert (definition.created_at, definition.updated_at) == (T0, T1)


def test_an_update_reaches_every_field_but_the_id() -> None:
    definition = a_definition()
    execution = Execution(network=True)

    definition.update("2", "i", {"a": {"type": "any"}}, {}, Constraints(1), RetryPolicy(2),
                      image_digest="sha256:0", execution=execution)  # fmt: skip

    assert definition.input_specs.specs == {"a": InputSpec("any")}
    assert (definition.constraints, definition.retry_policy) == (Constraints(1), RetryPolicy(2))
    assert (definition.image_digest, definition.execution) == ("sha256:0", execution)


def test_a_refused_update_changes_nothing() -> None:
    definition = a_definition()
    before = definition.to_dict()

    with pytest.raises(ValueError, match="invalid input specs"):
        definition.update(version="2", input_specs={"n": {}})

    assert definition.to_dict() == before


def test_a_document_without_times_is_as_old_as_its_reading() -> None:
    earliest = datetime.now(UTC)  # noqa: TID251 - the default under test is the machine's clock

    definition = OpDefinition.from_dict({"id": "shout", "version": "1", "image": "busybox"})

    assert definition.created_at >= earliest


@pytest.mark.parametrize("name", ["a", "word-count", "a.b_c", "0x"])
def test_the_pattern_takes_op_ids(name: str) -> None:
    assert re.fullmatch(OP_ID_PATTERN, name)


@pytest.mark.parametrize("name", ["", "A", "-a", "a b", "a/b", "é", "a\n"])
def test_the_pattern_refuses_other_names(name: str) -> None:
    assert not re.fullmatch(OP_ID_PATTERN, name)

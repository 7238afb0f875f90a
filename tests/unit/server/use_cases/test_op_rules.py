from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gyoza.models import OpDefinition, OutputSpecs
from gyoza.server.use_cases.op_rules import definition_from, input_faults, output_faults
from gyoza.wire.messages import Fault, PutDefinition

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)


def faults_of(**given: Any) -> list[str]:
    neutral: dict[str, Any] = {"id": "wc", "version": "1", "image": "wc:1"}
    _, faults = definition_from(PutDefinition(**{**neutral, **given}), NOON)
    return [fault.pointer for fault in faults]


def test_a_plain_definition_is_registered_now_whatever_times_it_names() -> None:
    command = PutDefinition(
        id="wc", version="1", image="wc:1", createdAt="2001-01-01T00:00:00Z", updatedAt="x"
    )

    definition, faults = definition_from(command, NOON)

    assert faults == []
    assert definition is not None
    assert definition.created_at == definition.updated_at == NOON


@pytest.mark.parametrize("op_id", ["", "Upper", "-dash", "a b", "a/b", "ä", "a" * 129, "a\n"])
def test_an_op_id_is_a_name_that_fits_into_addresses(op_id: str) -> None:
    assert faults_of(id=op_id) == ["/id"]


@pytest.mark.parametrize("version", ["", " ", "1" * 65, "1/2"])
def test_a_version_is_short_and_not_empty(version: str) -> None:
    assert faults_of(version=version) == ["/version"]


@pytest.mark.parametrize("image", ["", " ", "a b", "x" * 513])
def test_an_image_is_a_reference(image: str) -> None:
    assert faults_of(image=image) == ["/image"]


def test_all_faults_are_named_at_once() -> None:
    found = faults_of(
        id="",
        image="",
        input_specs={"n": {"type": 1}, "m": {"typ": "string"}},
        retry_policy={"max_attempts": 0},
    )

    assert found == [
        "/id",
        "/image",
        "/input_specs/n/type",
        "/input_specs/m/typ",
        "/input_specs/m/type",
        "/retry_policy/max_attempts",
    ]


def test_a_default_has_the_type_and_the_schema_of_its_input() -> None:
    found = faults_of(
        input_specs={
            "a": {"type": "integer", "required": False, "default": "x"},
            "b": {
                "type": "integer",
                "required": False,
                "default": 9,
                "schema": {"maximum": 3},
            },
        }
    )

    assert found == ["/input_specs/a/default", "/input_specs/b/default"]


def test_a_schema_is_checked_when_it_is_registered() -> None:
    assert faults_of(output_specs={"n": {"type": "any", "schema": {"type": "nothing"}}}) == [
        "/output_specs/n/schema/type"
    ]


def test_what_is_not_carried_out_yet_is_refused_and_not_ignored() -> None:
    found = faults_of(execution={"warm": {}})

    assert found == ["/execution/warm"]


def test_less_than_the_engine_can_give_is_refused() -> None:
    assert faults_of(constraints={"cpu": 0, "ram_mb": 5}) == [
        "/constraints/cpu",
        "/constraints/ram_mb",
    ]


@pytest.mark.parametrize(("cpu", "ram_mb"), [(0, 5), (-1, -1), ("x", 1.5)])
def test_every_refusal_of_a_resource_names_the_same_least(cpu: Any, ram_mb: Any) -> None:
    command = PutDefinition(
        id="wc", version="1", image="wc:1", constraints={"cpu": cpu, "ram_mb": ram_mb}
    )

    _, faults = definition_from(command, NOON)

    assert [" 1" in faults[0].message, " 6" in faults[1].message] == [True, True]


def test_an_optional_input_given_as_null_is_not_held_against_its_schema() -> None:
    definition = OpDefinition.from_dict(
        {
            "id": "wc",
            "version": "1",
            "image": "wc",
            "input_specs": {
                "n": {"type": "integer", "required": False, "schema": {"type": "integer"}}
            },
        }
    )

    assert input_faults(definition, {"n": None}) == []


def test_outputs_name_their_faults_like_inputs() -> None:
    specs = OutputSpecs.from_dict({"a": {"type": "integer"}, "b": {"type": "string"}})

    found: list[Fault] = output_faults(specs, {"a": "x", "c": 1})

    assert {fault.pointer for fault in found} == {"/outputs/a", "/outputs/b", "/outputs/c"}

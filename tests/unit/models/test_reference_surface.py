"""The published reference of the domain model, as a table; nothing in it may ever change."""

from __future__ import annotations

import inspect
from enum import Enum
from importlib import import_module
from typing import Any

import pytest

import gyoza.models

DATACLASSES = {
    "resources.Constraints": "cpu=None, ram_mb=None, vram_mb=None",
    "resources.RetryPolicy": "max_attempts=1, backoff_ms=0",
    "resources.EventDelivery": "topic='', attributes=<factory>",
    "resources.EventEntry": "t, type, msg, payload=<factory>",
    "resources.ExecutionSummary": (
        "duration_ms=None, worker_id=None, error_message=None, gpu_id=None"
    ),
    "op_definition.InputSpec": "type, required=True, default=None",
    "op_definition.InputSpecs": "specs=<factory>",
    "op_definition.OutputSpec": "type",
    "op_definition.OutputSpecs": "specs=<factory>",
    "op_definition.OpDefinition": (
        "id, version, image, input_specs=<factory>, output_specs=<factory>, "
        "constraints=<factory>, retry_policy=<factory>, event_delivery=<factory>, "
        "created_at=<factory>, updated_at=<factory>"
    ),
    "op_attempt.OpAttempt": (
        "id, op_run_id, attempt, state, progress=0, events=<factory>, inputs=<factory>, "
        "outputs=<factory>, execution_summary=<factory>, constraints=<factory>, "
        "started_at=None, finished_at=None"
    ),
    "op_run.OpRun": (
        "id, state, priority, image, inputs=<factory>, constraints=<factory>, "
        "retry_policy=<factory>, event_delivery=<factory>, op_definition=None, "
        "created_at=<factory>, updated_at=<factory>, _attempts=<factory>, "
        "_current_attempt_index=-1"
    ),
}
METHODS = {
    "op_definition.OpDefinition.create": (
        "id, version, image, input_specs=None, output_specs=None, constraints=None, "
        "retry_policy=None, event_delivery=None"
    ),
    "op_definition.OpDefinition.validate_inputs": "self, inputs",
    "op_definition.OpDefinition.prepare_inputs": "self, inputs",
    "op_definition.OpDefinition.update": (
        "self, version=None, image=None, input_specs=None, output_specs=None, "
        "constraints=None, retry_policy=None"
    ),
    "op_definition.InputSpecs.from_dict": "data",
    "op_run.OpRun.create": (
        "image, priority=0, inputs=None, constraints=None, retry_policy=None, "
        "event_delivery=None, op_definition=None"
    ),
    "op_run.OpRun.set_state": "self, new_state",
    "op_run.OpRun.assign": "self, worker_id",
    "op_run.OpRun.set_priority": "self, priority",
    "op_run.OpRun.set_outputs": "self, outputs",
    "op_run.OpRun.set_execution_summary": (
        "self, duration_ms=None, worker_id=None, error_message=None, gpu_id=None"
    ),
    "op_run.OpRun.add_event": "self, event_type, msg, payload=None",
    "op_run.OpRun.can_retry": "self",
    "op_run.OpRun.retry": "self, force=False",
    "op_definition.InputValidationError.__init__": "self, errors",
}
ENUMS = {
    "resources.OpRunState": "PENDING ASSIGNED RUNNING COMPLETED FAILED CANCELLED",
    "resources.EventType": "STARTED INFO PROGRESS COMPLETED FAILED CANCELLED ERROR",
}
WITH_TO_DICT = [
    *("Constraints", "RetryPolicy", "EventDelivery", "EventEntry", "ExecutionSummary"),
    *("InputSpecs", "OutputSpec", "OutputSpecs", "OpDefinition"),
]
PROPERTIES = ["events", "execution_summary", "progress", "outputs"]


def found(dotted: str) -> Any:
    module, *names = dotted.split(".")
    value: Any = import_module(f"gyoza.models.{module}")
    for name in names:
        value = getattr(value, name)
    return value


def shape(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


@pytest.mark.parametrize(("dotted", "signature"), (DATACLASSES | METHODS).items())
def test_a_documented_signature_stands_and_only_optional_parameters_follow(
    dotted: str, signature: str
) -> None:
    parameters = list(inspect.signature(found(dotted)).parameters.values())
    documented = signature.split(", ")

    assert [shape(each) for each in parameters[: len(documented)]] == documented
    assert all(each.default is not each.empty for each in parameters[len(documented) :])


@pytest.mark.parametrize("dotted", METHODS)
def test_parameters_beyond_the_reference_go_by_keyword_only(dotted: str) -> None:
    parameters = list(inspect.signature(found(dotted)).parameters.values())
    added = parameters[len(METHODS[dotted].split(", ")) :]

    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in added)


@pytest.mark.parametrize("dotted", [*DATACLASSES, *ENUMS, "op_definition.InputValidationError"])
def test_a_documented_class_lives_in_its_module_and_in_the_package(dotted: str) -> None:
    kind = found(dotted)

    assert kind is getattr(gyoza.models, dotted.partition(".")[2])
    assert kind.__module__ == f"gyoza.models.{dotted.partition('.')[0]}"


def test_the_lock_exception_is_importable_from_the_package_and_from_op_run() -> None:
    assert found("op_run.OpRunLockedException") is gyoza.models.OpRunLockedException
    assert gyoza.models.OpRunLockedException.__bases__ == (Exception,)


@pytest.mark.parametrize(("dotted", "members"), ENUMS.items())
def test_the_documented_members_come_first_and_are_strings(dotted: str, members: str) -> None:
    kind = found(dotted)
    documented = members.split()

    assert [member.name for member in kind][: len(documented)] == documented
    assert all(member.value == member.name == member for member in kind)
    assert kind.__bases__ == (str, Enum)


@pytest.mark.parametrize("name", WITH_TO_DICT)
def test_what_is_written_as_a_dictionary_is_read_from_one(name: str) -> None:
    kind = getattr(gyoza.models, name)

    assert callable(kind.to_dict)
    assert inspect.ismethod(kind.from_dict)


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_current_attempt_shows_through_properties(name: str) -> None:
    assert isinstance(inspect.getattr_static(gyoza.models.OpRun, name), property)


@pytest.mark.parametrize("name", gyoza.models.__all__)
def test_every_exported_name_exists(name: str) -> None:
    assert hasattr(gyoza.models, name)

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from gyoza.models import (
    Constraints,
    EventDelivery,
    EventEntry,
    EventType,
    Execution,
    ExecutionSummary,
    InputSpec,
    OpRun,
    OutputSpec,
    RetryPolicy,
    Timeouts,
)
from gyoza.models.fields import InvalidFields

EVENT = {"t": "2031-05-04T09:08:07Z", "type": "INFO", "msg": "hi"}

REFUSED: list[tuple[Any, Any, str]] = [
    (Constraints, None, "invalid constraints: got null, expected an object"),
    (Constraints, {1: 2}, "got the key 1, expected only strings as keys"),
    (Constraints, {"cpu": 1.0}, "cpu: got 1.0, expected a whole number of at least 0 or null"),
    (Constraints, {"cpu": True}, "cpu: got true, expected a whole number"),
    (Constraints, {"ram_mb": -1}, "ram_mb: got -1, expected a whole number of at least 0"),
    (Constraints, {"vram": 1}, "vram: unknown field; did you mean vram_mb?"),
    (Constraints, {"zzz": 1}, "zzz: unknown field; expected only cpu, ram_mb, vram_mb"),
    (
        RetryPolicy,
        {"max_attempts": 0},
        "max_attempts: got 0, expected a whole number of at least 1",
    ),
    (RetryPolicy, {"backoff_ms": "5"}, "backoff_ms: got '5', expected a whole number"),
    (EventDelivery, {"topic": None}, "topic: got null, expected a string"),
    (EventDelivery, {"attributes": []}, "attributes: got [], expected an object"),
    (EventEntry, {}, "t: missing; type: missing; msg: missing"),
    (EventEntry, {**EVENT, "t": "yesterday"}, "t: got 'yesterday', expected a time such as 2031"),
    (EventEntry, {**EVENT, "t": "2031-05-04T09:08:07"}, "expected a time such as 2031"),
    (EventEntry, {**EVENT, "t": 5}, "t: got 5, expected a time"),
    (EventEntry, {**EVENT, "type": "info"}, "type: got 'info', expected one of STARTED, INFO,"),
    (EventEntry, {**EVENT, "type": []}, "type: got [], expected one of"),
    (EventEntry, {**EVENT, "msg": True}, "msg: got true, expected a string or a whole number"),
    (ExecutionSummary, {"gpu_id": "0"}, "gpu_id: got '0', expected a whole number or null"),
    (Timeouts, {"run_s": -1}, "run_s: got -1, expected a number of at least 0 or null"),
    (Timeouts, {"run_s": float("nan")}, "run_s: got nan, expected a number"),
    (Timeouts, {"run_s": float("inf")}, "run_s: got inf, expected a number"),
    (Execution, {"grace_s": 121}, "grace_s: got 121, expected a number from 0 to 120"),
    (Execution, {"network": 1}, "network: got 1, expected true or false"),
    (Execution, {"disk_mb": 0}, "disk_mb: got 0, expected a whole number of at least 1"),
    (Execution, {"command": "ls"}, "command: got 'ls', expected a list or null"),
    (Execution, {"command": ["ls", 1]}, "command.1: got 1, expected a string"),
    (Execution, {"selectors": {"gpu": 1}}, "selectors: got {'gpu': 1}, expected an object whose"),
    (Execution, {"timeouts": {"run": 1}}, "timeouts.run: unknown field; did you mean run_s?"),
    (InputSpec, {"required": "yes"}, "required: got 'yes', expected true or false; type: missing"),
    (OutputSpec, {"type": "int", "schema": True}, "schema: got true, expected an object or null"),
    (OpRun, {"id": "r"}, "invalid run: state: missing; priority: missing; image: missing"),
]


@pytest.mark.parametrize(("kind", "document", "problem"), REFUSED)
def test_a_wrong_document_is_refused_with_name_value_and_expectation(
    kind: Any, document: Any, problem: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        kind.from_dict(document)

    assert problem in str(caught.value)


def test_all_problems_are_reported_with_their_pointers() -> None:
    document = {"grace_s": "long", "timeouts": {"run_s": "x", "a/b": 1}, "warm": 3}

    with pytest.raises(InvalidFields) as caught:
        Execution.from_dict(document)

    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["/grace_s", "/timeouts/run_s", "/timeouts/a~1b", "/warm"]


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(InvalidFields) as caught:
        RetryPolicy.from_dict({"backoff_ms": "9" * 10_000})

    assert len(str(caught.value)) < 250


def test_times_may_carry_any_offset() -> None:
    entry = EventEntry.from_dict({**EVENT, "t": "2031-05-04T11:08:07.25+02:00"})

    assert entry.t == datetime(2031, 5, 4, 9, 8, 7, 250_000, tzinfo=UTC)
    assert entry.to_dict()["t"] == "2031-05-04T09:08:07.250000Z"


@pytest.mark.parametrize(
    "value",
    [
        Constraints(),
        RetryPolicy(),
        EventDelivery(),
        EventEntry(datetime(2031, 1, 1, tzinfo=UTC), EventType.INFO, "hi"),
        Timeouts(),
        Execution(),
        InputSpec("any"),
        OutputSpec("any"),
    ],
)
def test_value_objects_are_frozen_and_take_no_other_attributes(value: Any) -> None:
    name = dataclasses.fields(value)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
    assert not hasattr(value, "__dict__")


def test_value_objects_keep_their_own_copy_of_what_they_are_given() -> None:
    attributes, warm, payload = {"k": [1]}, {"k": [1]}, {"k": [1]}
    delivery, execution = EventDelivery("", attributes), Execution(warm=warm)
    entry = EventEntry(datetime(2031, 1, 1, tzinfo=UTC), EventType.INFO, "hi", payload)

    for given in (attributes, warm, payload):
        given["k"].append(2)

    assert delivery.attributes == execution.warm == entry.payload == {"k": [1]}

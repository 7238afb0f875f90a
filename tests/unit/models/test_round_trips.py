from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyoza.models import (
    Constraints,
    Execution,
    OpAttempt,
    OpDefinition,
    OpRun,
    OpRunState,
    Timeouts,
)
from tests.unit.models import strategies

STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "Constraints": strategies.constraints,
    "RetryPolicy": strategies.retry_policies,
    "EventDelivery": strategies.event_deliveries,
    "EventEntry": strategies.event_entries,
    "ExecutionSummary": strategies.summaries,
    "Timeouts": strategies.timeouts,
    "Execution": strategies.executions,
    "InputSpec": strategies.input_spec,
    "InputSpecs": strategies.input_specs,
    "OutputSpec": strategies.output_spec,
    "OutputSpecs": strategies.output_specs,
    "OpDefinition": strategies.definitions,
    "OpAttempt": strategies.attempts,
    "OpRun": strategies.runs(),
}


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_goes_out_as_json_comes_back_as_the_same_value(name: str, data: st.DataObject) -> None:
    original = data.draw(STRATEGIES[name])

    document = original.to_dict()
    restored = type(original).from_dict(json.loads(json.dumps(document)))

    assert restored == original
    assert restored.to_dict() == document


def test_defaults_of_extension_fields_stay_out_of_the_documents() -> None:
    run = OpRun.create("busybox", id="run_1")
    definition = OpDefinition.create("shout", "1.0.0", "busybox")

    assert set(run.to_dict()) == {
        *("id", "state", "priority", "image", "inputs", "constraints", "retry_policy"),
        *("event_delivery", "op_definition", "created_at", "updated_at", "attempts"),
    }
    assert set(run.current_attempt.to_dict()) == {
        *("id", "op_run_id", "attempt", "state", "progress", "events", "inputs", "outputs"),
        *("execution_summary", "constraints", "started_at", "finished_at"),
    }
    assert set(definition.to_dict()) == {
        *("id", "version", "image", "input_specs", "output_specs", "constraints"),
        *("retry_policy", "event_delivery", "createdAt", "updatedAt"),
    }
    assert Execution().to_dict() == {}
    assert Constraints().to_dict() == {"cpu": None, "ram_mb": None, "vram_mb": None}


def test_a_limit_that_was_switched_off_is_written_as_null() -> None:
    document = Execution(timeouts=Timeouts(run_s=None)).to_dict()

    assert document == {"timeouts": {"run_s": None}}


def test_a_run_from_a_newer_version_is_read_without_the_fields_it_adds() -> None:
    document = {**OpRun.create("busybox").to_dict(), "colour": "red"}
    document["attempts"][0]["weather"] = "fine"

    run = OpRun.from_dict(document)

    assert run.state is OpRunState.PENDING
    assert isinstance(run.current_attempt, OpAttempt)


def test_mutating_a_document_changes_nothing_in_the_run() -> None:
    run = OpRun.create("busybox", inputs={"deep": {"list": [1]}}, tags={"team": "geo"})
    document = run.to_dict()

    document["inputs"]["deep"]["list"].append(2)
    document["attempts"][0]["inputs"]["deep"]["list"].append(3)
    reread = OpRun.from_dict(document)
    document["inputs"]["deep"]["list"].append(4)

    assert run.inputs == run.current_attempt.inputs == {"deep": {"list": [1]}}
    assert reread.inputs == {"deep": {"list": [1, 2]}}

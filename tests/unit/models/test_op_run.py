from __future__ import annotations

import copy
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gyoza.models import (
    EventDelivery,
    EventType,
    Execution,
    NewEvent,
    OpRun,
    OpRunLockedException,
    OpRunState,
    RetryPolicy,
    Timeouts,
    op_run,
)
from gyoza.models.lifecycle import TABLE, trigger_of

T0 = datetime(2031, 5, 4, 9, 8, 7, 6, tzinfo=UTC)
LATER = T0 + timedelta(milliseconds=1500)
OWN = (EventType.ASSIGNED, EventType.RELEASED, EventType.RETRIED)
ADDABLE = [kind for kind in EventType if kind not in OWN]


def a_run(state: OpRunState = OpRunState.PENDING, **fields: Any) -> OpRun:
    run = OpRun.create("busybox", id="run_1", now=T0, **fields)
    if state is OpRunState.CANCELLED:
        run.cancel("enough", now=T0)
    elif state is not OpRunState.PENDING:
        run.assign("wrk_1", now=T0)
        if state is not OpRunState.ASSIGNED:
            run.add_event(EventType.STARTED, "", now=T0)
        if state is OpRunState.COMPLETED:
            run.complete(now=T0)
        elif state is OpRunState.FAILED:
            run.fail("no", reason="EXIT_CODE", now=T0)
    assert run.state is state
    return run


def everything(run: OpRun) -> object:
    return copy.deepcopy((run, run._new_events))  # noqa: SLF001 - not part of equality


def test_a_new_run_is_pending_with_its_first_attempt() -> None:
    run = OpRun.create("busybox", inputs={"n": 1})

    (attempt,) = run.attempts
    assert re.fullmatch(r"run_[0-9a-hjkmnp-tv-z]{26}", run.id)
    assert (run.state, run.priority, run.fence) == (OpRunState.PENDING, 0, 0)
    assert (attempt.id, attempt.attempt, attempt.op_run_id) == (f"{run.id}_att_1", 1, run.id)
    assert attempt.inputs == {"n": 1}
    assert run.collect_events() == []


def test_dictionaries_handed_in_are_copied() -> None:
    inputs, tags, attributes, outputs = {"a": [1]}, {"t": "1"}, {"k": [1]}, {"o": [1]}
    warm, payload = {"keep_s": [1]}, {"p": [1]}
    run = OpRun.create(
        "busybox",
        inputs=inputs,
        tags=tags,
        event_delivery=EventDelivery("t", attributes),
        execution=Execution(warm=warm),
    )
    run.set_outputs(outputs)
    run.add_event(EventType.INFO, "hi", payload)

    for given in (inputs["a"], attributes["k"], outputs["o"], warm["keep_s"], payload["p"]):
        given.append(2)
    tags["t"] = "2"

    assert run.inputs == run.current_attempt.inputs == {"a": [1]}
    assert run.tags == {"t": "1"}
    assert run.event_delivery.attributes == {"k": [1]}
    assert run.outputs == {"o": [1]}
    assert run.execution.warm == {"keep_s": [1]}
    assert run.events[0].payload == {"p": [1]}


def test_what_properties_hand_out_cannot_change_the_run() -> None:
    run = a_run()
    run.set_outputs({"o": [1]})

    run.outputs["o"].append(2)
    run.events.append(None)  # pyright: ignore[reportArgumentType]

    assert run.outputs == {"o": [1]}
    assert run.events == []


def test_attempts_keep_their_own_snapshot_of_the_inputs() -> None:
    run = a_run(inputs={"a": [1]})

    run.inputs["a"].append(2)
    run.retry(force=True)

    assert [attempt.inputs for attempt in run.attempts] == [{"a": [1]}, {"a": [1, 2]}]


def test_an_assignment_takes_the_next_fence_and_names_its_worker() -> None:
    run = a_run()

    run.assign("wrk_1", now=LATER, gpu_uuid="GPU-1")

    attempt = run.current_attempt
    assert run.state is attempt.state is OpRunState.ASSIGNED
    assert run.fence == attempt.fence == 1
    assert run.worker_id == attempt.execution_summary.worker_id == "wrk_1"
    assert (attempt.gpu_uuid, run.updated_at, run.events) == ("GPU-1", LATER, [])


@pytest.mark.parametrize("state", [OpRunState.ASSIGNED, OpRunState.RUNNING])
def test_a_run_that_a_worker_has_cannot_be_assigned_again(state: OpRunState) -> None:
    run = a_run(state)
    before = everything(run)

    with pytest.raises(ValueError, match="ASSIGN is possible only from PENDING"):
        run.assign("wrk_2")

    assert everything(run) == before


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED"])
def test_a_terminal_run_is_locked_against_assignment_and_release(state: str) -> None:
    run = a_run(OpRunState(state))
    before = everything(run)

    with pytest.raises(OpRunLockedException):
        run.assign("wrk_2")
    with pytest.raises(OpRunLockedException):
        run.release()

    assert everything(run) == before


def test_an_assignment_given_back_leaves_the_same_attempt_pending_under_the_next_fence() -> None:
    run = a_run(OpRunState.ASSIGNED)

    run.release(now=LATER, msg="draining")

    assert run.state is run.current_attempt.state is OpRunState.PENDING
    assert (len(run.attempts), run.fence, run.worker_id) == (1, 2, None)
    assert run.collect_events()[-1].entry.payload == {"worker_id": "wrk_1"}


@pytest.mark.parametrize("state", [OpRunState.PENDING, OpRunState.RUNNING])
def test_only_an_assigned_run_can_be_released(state: OpRunState) -> None:
    run = a_run(state)
    before = everything(run)

    with pytest.raises(ValueError, match="RELEASE is possible only from ASSIGNED"):
        run.release()

    assert everything(run) == before


@pytest.mark.parametrize("state", OpRunState)
@pytest.mark.parametrize("kind", ADDABLE)
def test_an_event_moves_the_run_as_the_table_says_or_changes_nothing(
    state: OpRunState, kind: EventType
) -> None:
    run = a_run(state)
    before = everything(run)
    target = TABLE[state].get(trigger_of(kind))

    if target is None:
        with pytest.raises((ValueError, OpRunLockedException)):
            run.add_event(kind, "40", {"reason": "X"}, now=LATER)
        assert everything(run) == before
    else:
        run.add_event(kind, "40", {"reason": "X"}, now=LATER)
        assert run.state is run.current_attempt.state is target
        assert (run.events[-1].type, run.events[-1].t, run.updated_at) == (kind, LATER, LATER)


@pytest.mark.parametrize("state", OpRunState)
@pytest.mark.parametrize(
    ("kind", "method"), [("ASSIGNED", "assign"), ("RELEASED", "release"), ("RETRIED", "retry")]
)
def test_events_that_have_a_method_of_their_own_are_refused_by_name(
    state: OpRunState, kind: str, method: str
) -> None:
    run = a_run(state)
    before = everything(run)

    with pytest.raises(ValueError, match=rf"{method}\(\)"):
        run.add_event(EventType(kind), "")

    assert everything(run) == before


INVALID_EVENTS: list[tuple[Any, Any, Any, str]] = [
    ("PROGRESS", None, None, "progress is null; expected a whole number from 0 to 100"),
    ("PROGRESS", "", None, "expected a whole number"),
    ("PROGRESS", "half", None, "progress is 'half'"),
    ("PROGRESS", "12.5", None, "progress is '12.5'"),
    ("PROGRESS", " 5", None, "expected a whole number"),
    ("PROGRESS", "-1", None, "expected a whole number"),
    ("PROGRESS", "101", None, "expected a whole number"),
    ("PROGRESS", "٤٠", None, "expected a whole number"),
    ("PROGRESS", -1, None, "progress is -1"),
    ("PROGRESS", 101, None, "progress is 101"),
    ("PROGRESS", 12.5, None, "progress is 12.5"),
    ("PROGRESS", float("nan"), None, "progress is nan"),
    ("PROGRESS", float("inf"), None, "progress is inf"),
    ("PROGRESS", True, None, "progress is true"),
    ("PROGRESS", [40], None, "expected a whole number"),
    ("PROGRESS", 40, ["no"], "payload is"),
    ("INFO", None, None, "msg is null; expected a string"),
    ("INFO", True, None, "msg is true"),
    ("INFO", {"a": 1}, None, "msg is"),
    ("INFO", "hi", "text", "payload is 'text'; expected an object"),
    ("COMPLETED", "hi", 3, "payload is 3"),
    ("FAILED", None, None, "msg is null"),
    ("NONSENSE", "hi", None, "unknown event type 'NONSENSE'; expected one of STARTED, INFO"),
    (None, "hi", None, "unknown event type null"),
]


@pytest.mark.parametrize(("kind", "msg", "payload", "problem"), INVALID_EVENTS)
def test_an_event_with_an_invalid_argument_says_so_and_changes_nothing(
    kind: Any, msg: Any, payload: Any, problem: str
) -> None:
    run = a_run(OpRunState.RUNNING)
    before = everything(run)

    with pytest.raises(ValueError, match=re.escape(problem)):
        run.add_event(kind, msg, payload)

    assert everything(run) == before


@pytest.mark.parametrize(
    ("given", "progress", "kept"),
    [(0, 0, 0), (100, 100, 100), ("40", 40, "40"), ("007", 7, "007"), (40.0, 40, 40)],
)
def test_progress_is_stored_as_a_whole_number_and_the_event_keeps_what_was_given(
    given: Any, progress: int, kept: str | int
) -> None:
    run = a_run(OpRunState.RUNNING)

    run.add_event(EventType.PROGRESS, given)

    assert (run.progress, run.events[-1].msg) == (progress, kept)
    assert type(run.progress) is int


def test_a_started_run_that_fails_gets_its_times_duration_reason_and_error() -> None:
    run = a_run(OpRunState.ASSIGNED)

    run.add_event(EventType.STARTED, "up", now=T0)
    run.fail("out of memory", reason="OOM", exit_code=137, charged=False, now=LATER)

    attempt = run.current_attempt
    assert (attempt.started_at, attempt.finished_at) == (T0, LATER)
    assert run.execution_summary.duration_ms == 1500
    assert run.execution_summary.error_message == "out of memory"
    assert run.reason == attempt.reason == "OOM"
    assert (attempt.exit_code, attempt.charged) == (137, False)
    assert run.events[-1].payload == {"reason": "OOM"}


def test_a_duration_that_was_reported_is_kept() -> None:
    run = a_run(OpRunState.RUNNING)
    run.set_execution_summary(duration_ms=7)

    run.complete("done", outputs={"n": 1}, exit_code=0, now=LATER)

    assert run.execution_summary.duration_ms == 7
    assert (run.outputs, run.current_attempt.exit_code) == ({"n": 1}, 0)


def test_a_run_cancelled_while_it_waits_is_finished_without_a_duration() -> None:
    run = a_run()

    run.cancel("changed my mind", now=LATER)

    assert (run.state, run.reason) == (OpRunState.CANCELLED, "CANCELLED")
    assert run.current_attempt.finished_at == LATER
    assert run.execution_summary.duration_ms is None
    assert run.execution_summary.error_message is None


def test_a_reason_that_is_no_string_is_left_in_the_payload() -> None:
    run = a_run(OpRunState.RUNNING)

    run.add_event(EventType.FAILED, "odd", {"reason": 42})

    assert (run.reason, run.events[-1].payload) == (None, {"reason": 42})


@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
def test_ending_a_terminal_run_again_changes_nothing(end: str) -> None:
    run = a_run(OpRunState.COMPLETED)
    before = everything(run)

    with pytest.raises(OpRunLockedException):
        {
            "complete": lambda: run.complete("again", outputs={"other": 1}, exit_code=3),
            "fail": lambda: run.fail("again", reason="X", charged=False, exit_code=3),
            "cancel": lambda: run.cancel("again"),
        }[end]()

    assert everything(run) == before


def test_a_phase_ends_with_the_state_it_refines() -> None:
    run = a_run(OpRunState.ASSIGNED)
    run.phase = "PULLING"

    run.add_event(EventType.PROGRESS, 5)
    during = run.phase
    run.add_event(EventType.STARTED, "")

    assert (during, run.phase) == ("PULLING", None)


def test_a_retry_is_refused_once_the_charged_attempts_are_used_up() -> None:
    run = a_run(OpRunState.FAILED, retry_policy=RetryPolicy(max_attempts=1))
    before = everything(run)

    assert not run.can_retry()
    with pytest.raises(ValueError, match=r"used its 1 attempt.*force=True"):
        run.retry()

    assert everything(run) == before


def test_an_attempt_that_is_not_charged_leaves_room_for_another() -> None:
    run = a_run(OpRunState.RUNNING)

    run.fail("worker lost", reason="WORKER_LOST", charged=False)

    assert run.can_retry()


def test_a_retry_opens_a_new_attempt_and_forgets_the_reason() -> None:
    run = a_run(OpRunState.FAILED, retry_policy=RetryPolicy(max_attempts=2))

    run.retry(now=LATER, due_at=LATER)

    first, second = run.attempts
    assert (run.state, run.reason, run.due_at) == (OpRunState.PENDING, None, LATER)
    assert (first.state, first.reason) == (OpRunState.FAILED, "EXIT_CODE")
    assert (second.id, second.attempt, second.state) == ("run_1_att_2", 2, OpRunState.PENDING)
    assert run.current_attempt is second
    assert not run.can_retry()


@pytest.mark.parametrize(
    ("state", "fence"),
    [(OpRunState.PENDING, 0), (OpRunState.ASSIGNED, 2), (OpRunState.RUNNING, 2)],
)
def test_a_retry_closes_an_unfinished_attempt_and_fences_off_whoever_held_it(
    state: OpRunState, fence: int
) -> None:
    run = a_run(state)
    run.collect_events()

    run.retry(force=True, now=LATER)

    first = run.attempts[0]
    assert (first.state, first.reason, first.finished_at) == ("FAILED", "SUPERSEDED", LATER)
    assert run.fence == fence
    superseded, retried = run.collect_events()
    assert (superseded.attempt, superseded.entry.type) == (1, EventType.FAILED)
    assert superseded.entry.payload["final"] is False
    assert (retried.attempt, retried.entry.type) == (2, EventType.RETRIED)


def test_everything_that_happened_is_collected_once_and_only_added_events_are_in_the_timeline() -> (
    None
):
    run = a_run(retry_policy=RetryPolicy(max_attempts=2))
    run.assign("wrk_1")
    run.release()
    run.assign("wrk_2")
    run.add_event(EventType.STARTED, "")
    run.fail("no", reason="EXIT_CODE")
    timeline = run.events
    run.retry()

    collected = run.collect_events()

    assert [(new.attempt, new.entry.type.value) for new in collected] == [
        (1, "ASSIGNED"),
        (1, "RELEASED"),
        (1, "ASSIGNED"),
        (1, "STARTED"),
        (1, "FAILED"),
        (2, "RETRIED"),
    ]
    assert [entry.type.value for entry in timeline] == ["STARTED", "FAILED"]
    assert NewEvent(1, timeline[0]) in collected
    assert run.collect_events() == []


def test_a_negative_priority_is_refused() -> None:
    run = a_run()

    run.set_priority(0)
    with pytest.raises(ValueError, match="-1 is negative"):
        run.set_priority(-1)

    assert run.priority == 0


def test_the_summary_keeps_what_is_not_given() -> None:
    run = a_run(OpRunState.ASSIGNED)

    run.set_execution_summary(gpu_id=0)
    run.set_execution_summary(duration_ms=0, error_message="")

    assert run.execution_summary.to_dict() == {
        "duration_ms": 0,
        "worker_id": "wrk_1",
        "error_message": "",
        "gpu_id": 0,
    }


def test_set_state_goes_past_the_table_for_run_and_attempt() -> None:
    run = a_run(OpRunState.COMPLETED)

    run.set_state(OpRunState.PENDING)

    assert run.state is run.current_attempt.state is OpRunState.PENDING


def test_timeouts_are_those_of_the_execution() -> None:
    timeouts = Timeouts(run_s=5)

    assert a_run(execution=Execution(timeouts=timeouts)).timeouts == timeouts


def test_a_run_put_together_without_attempts_says_how_to_make_one() -> None:
    run = OpRun("run_1", OpRunState.PENDING, 0, "busybox")

    with pytest.raises(LookupError, match=r"OpRun\.create"):
        _ = run.progress


def test_the_lock_exception_is_one_class_wherever_it_is_imported_from() -> None:
    assert op_run.OpRunLockedException is OpRunLockedException

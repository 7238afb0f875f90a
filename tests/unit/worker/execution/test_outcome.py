from __future__ import annotations

from typing import Any

import pytest

from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.outcome import Evidence, OpError, Output, classify, warnings
from gyoza.worker.execution.stop import StopKind, StopOrder
from gyoza.worker.runtime.interface import ContainerState


def evidence(exit_code: int | None = 0, **changes: Any) -> Evidence:
    oom = changes.pop("oom", False)
    state = ContainerState("exited", exit_code=exit_code, oom_killed=oom)
    return Evidence(**({"finished_at_us": 1, "state": state} | changes))


def stopped(kind: StopKind, exit_code: int = 137) -> Evidence:
    return evidence(exit_code, stop=StopOrder(kind, "why"))


CASES: dict[str, tuple[Evidence, str, str | None, bool, bool]] = {
    "exit 0 without declared outputs": (evidence(), "COMPLETED", None, True, True),
    "exit 0 with outputs": (
        evidence(output=Output({"n": 1}), declares_outputs=True),
        "COMPLETED",
        None,
        True,
        True,
    ),
    "outputs missing": (evidence(declares_outputs=True), "FAILED", "OUTPUT_MISSING", True, False),
    "outputs invalid": (
        evidence(output=Output(problem="bad")),
        "FAILED",
        "OUTPUT_INVALID",
        True,
        False,
    ),
    "memory flag and exit 0": (evidence(oom=True), "COMPLETED", None, True, True),
    "memory flag and exit 1": (evidence(1, oom=True), "FAILED", "OOM", True, True),
    "137 alone": (evidence(137), "FAILED", "USER_ERROR", True, True),
    "137 after the engine broke": (
        evidence(137, engine_broke=True),
        "FAILED",
        "ENGINE_FAILURE",
        False,
        True,
    ),
    "1 after the engine broke": (
        evidence(1, engine_broke=True),
        "FAILED",
        "USER_ERROR",
        True,
        True,
    ),
    "255 after the engine broke": (
        evidence(255, engine_broke=True),
        "FAILED",
        "ENGINE_FAILURE",
        False,
        True,
    ),
    "137 by somebody else": (
        evidence(137, killed_by_others=True),
        "FAILED",
        "ENGINE_FAILURE",
        False,
        True,
    ),
    "memory flag and killed by somebody else": (
        evidence(137, oom=True, killed_by_others=True),
        "FAILED",
        "OOM",
        True,
        True,
    ),
    "127 of the init": (
        evidence(127, log_tail="[FATAL tini (7)] exec nope failed: No such file or directory\n"),
        "FAILED",
        "START_FAILED",
        True,
        False,
    ),
    "127 of a shell": (
        evidence(127, log_tail="sh: nope: not found\n"),
        "FAILED",
        "USER_ERROR",
        True,
        True,
    ),
    "65": (evidence(65), "FAILED", "BAD_INPUT", True, False),
    "75": (evidence(75), "FAILED", "TRY_AGAIN", False, True),
    "3": (evidence(3), "FAILED", "USER_ERROR", True, True),
    "3, says it is final": (
        evidence(3, error=OpError(retryable=False)),
        "FAILED",
        "USER_ERROR",
        True,
        False,
    ),
    "no exit code": (evidence(None), "FAILED", "ENGINE_FAILURE", False, True),
    "no container": (evidence(state=None), "FAILED", "ENGINE_FAILURE", False, True),
    "a stage failed": (
        evidence(state=None, failure=StageFailure("PULL_FAILED", "no")),
        "FAILED",
        "PULL_FAILED",
        False,
        True,
    ),
    "cancelled": (stopped(StopKind.CANCEL), "CANCELLED", "CANCELLED", True, True),
    "cancelled, exit 0": (stopped(StopKind.CANCEL, 0), "CANCELLED", "CANCELLED", True, True),
    "made way": (stopped(StopKind.PREEMPTED), "CANCELLED", "PREEMPTED", True, True),
    "run timeout": (stopped(StopKind.RUN_TIMEOUT), "FAILED", "RUN_TIMEOUT", True, True),
    "total timeout": (stopped(StopKind.TOTAL_TIMEOUT), "FAILED", "TOTAL_TIMEOUT", True, False),
    "disk limit": (stopped(StopKind.DISK_LIMIT), "FAILED", "DISK_LIMIT", True, True),
    "worker told to end": (stopped(StopKind.SHUTDOWN), "FAILED", "WORKER_LOST", False, True),
    "cancelled with the memory flag": (
        evidence(137, oom=True, stop=StopOrder(StopKind.CANCEL)),
        "CANCELLED",
        "CANCELLED",
        True,
        True,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_evidence_decides_the_outcome(name: str) -> None:
    given, outcome, reason, charged, retryable = CASES[name]

    result = classify(given)

    assert (result.outcome, result.reason, result.charged, result.retryable) == (
        outcome,
        reason,
        charged,
        retryable,
    )


def test_a_child_killed_for_memory_is_a_warning_when_the_op_went_on() -> None:
    assert warnings(evidence(oom=True))
    assert not warnings(evidence(1, oom=True))
    assert not warnings(evidence())


def test_the_ops_own_words_are_the_message() -> None:
    result = classify(evidence(1, error=OpError("ValueError", "no rows", retry_after_ms=500)))

    assert (result.message, result.retry_after_ms) == ("ValueError: no rows", 500)


def test_without_its_own_words_the_last_line_is_the_message() -> None:
    result = classify(evidence(1, log_tail="Traceback\nKeyError: 'x'\n"))

    assert result.message == "exit code 1: KeyError: 'x'"
    assert result.evidence["log_tail"].startswith("Traceback")


def test_a_failed_stage_is_named() -> None:
    failure = StageFailure("PULL_FAILED", "cannot pull x", detail="toomanyrequests")
    failure.stage = "resolve_image"

    result = classify(evidence(state=None, failure=failure))

    assert result.evidence["stage"] == "resolve_image"
    assert "toomanyrequests" in result.message

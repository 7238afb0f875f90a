"""Evidence in, findings out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gyoza.models import OpDefinition
from gyoza.testing.conformance.checks import CHECKS, judge
from gyoza.testing.conformance.evidence import Evidence, Left, Stopping, Trial
from gyoza.testing.conformance.report import Finding, Report, Status
from gyoza.testing.engine import Change, ImageFacts
from gyoza.testing.measuring import Measured
from gyoza.testing.results import RunResult

IMAGE = ImageFacts("sha256:0", {}, "", ("/op",), 1000)
SOUND = Trial(
    RunResult(outcome="COMPLETED", exit_code=0, duration_ms=5, peak_memory_mb=10),
    Left(output_bytes=20, was_input_read=True, was_output_renamed=True, ended_s=1.0),
    Measured(most_processes=2),
)


def an_op() -> OpDefinition:
    return OpDefinition.create(
        "op",
        "1",
        "op:1",
        {"text": {"type": "string"}},
        {"n": {"type": "integer"}},
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


def sound(**changes: Any) -> Evidence:
    refusal = Trial(
        RunResult(outcome="FAILED", reason="BAD_INPUT", message="text is missing", exit_code=65),
        Left(has_error=True, ended_s=1.0),
    )
    evidence = Evidence(
        image=IMAGE,
        definition=an_op(),
        is_declared=True,
        inputs={"text": "sample"},
        plain=SOUND,
        refusal=refusal,
        wrong="text is missing",
        stopping=Stopping(SOUND, 0.5),
        writable=SOUND,
    )
    return replace(evidence, **changes)


def found(evidence: Evidence) -> dict[str, Finding]:
    return {finding.check: finding for finding in judge(evidence)}


def test_sound_evidence_gives_no_fault() -> None:
    findings = judge(sound())

    assert {each.status for each in findings} <= {Status.PASS, Status.SKIP}
    assert len({each.check for each in findings}) == len(CHECKS)


def test_without_inputs_it_is_said_why_nothing_was_tried() -> None:
    evidence = sound(
        plain=None,
        refusal=None,
        stopping=None,
        writable=None,
        no_inputs_because="input code: nothing is known that matches the pattern ^x$",
    )

    assert "pattern ^x$" in found(evidence)["start"].seen
    assert found(evidence)["memory"].status is Status.SKIP


def test_what_it_would_write_is_a_warning_if_it_completes_without() -> None:
    left = replace(SOUND.left, changes=[Change("/var/cache", "added")])

    finding = found(sound(writable=replace(SOUND, left=left)))["writes"]

    assert finding.status is Status.WARN
    assert "/var/cache added" in finding.seen


@pytest.mark.parametrize(("peak_mb", "status"), [(400, Status.PASS), (500, Status.WARN)])
def test_memory_near_the_limit_is_a_warning(peak_mb: float, status: Status) -> None:
    trial = replace(SOUND, result=replace(SOUND.result, peak_memory_mb=peak_mb))

    assert found(sound(plain=trial))["memory"].status is status


def test_an_op_that_ended_before_it_was_asked_is_not_blamed() -> None:
    assert found(sound(stopping=Stopping(SOUND, None)))["stop"].status is Status.SKIP


def test_a_report_passes_with_warnings_and_fails_with_one_fault() -> None:
    warning = Finding("a", "A.", Status.WARN, "x", "y", "z")
    fault = Finding("b", "B.", Status.FAIL, "x", "y", "z")

    assert Report("op", (warning,)).has_passed
    assert not Report("op", (warning, fault)).has_passed
    assert Report("op", (warning, fault)).summary() == "1 with a warning, 1 failed"

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest

from gyoza.cli.output import Output
from gyoza.cli.waiting_views import Shown, reasons, shown, why_it_waits, word
from gyoza.models import OpRun
from tests.support.run_documents import START, a_run


def waiting(rule: str | None = None, verdict: str = "LATER", summary: str = "no room") -> Any:
    return {"verdict": verdict, "rule": rule, "summary": summary}


def a_retried_run(due_in_s: float) -> OpRun:
    run = a_run()
    run.assign("wrk_1", now=START)
    run.fail("no", reason="USER_ERROR", now=START)
    run.retry(force=True, now=START, due_at=START + timedelta(seconds=due_in_s))
    return run


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (waiting(verdict="NEVER"), "never"),
        (waiting(verdict="NEVER", rule="paused"), "never"),
        (waiting("paused"), "paused"),
        (waiting("op_limit"), "op limit"),
        (waiting("owner_limit"), "quota"),
        (waiting("key"), "awaits key"),
        (waiting("after"), "awaits runs"),
        (waiting(), None),
        ({}, None),
    ],
)
def test_a_word_beside_the_state_says_what_a_run_waits_for(told: Any, expected: str | None) -> None:
    assert word(Shown(a_run(), told), START) == expected


def test_a_run_that_is_not_due_is_told_what_is_left_and_when_by_the_clock_on_the_wall() -> None:
    due = START + timedelta(seconds=100)
    each = Shown(a_run(due_at=due), waiting("delayed"))

    assert word(each, START) == "due in 1m"
    assert why_it_waits(each, START).startswith("it is due in 1m 40s, at ")
    assert f"{due.astimezone():%H:%M:%S}" in why_it_waits(each, START)


def test_a_run_between_two_attempts_is_told_which_one_it_waits_for() -> None:
    each = Shown(a_retried_run(12), waiting("backoff"))

    assert word(each, START) == "backoff, 12s"
    assert why_it_waits(each, START).startswith("attempt 2 begins in 12 s, at ")


def test_a_run_that_is_due_waits_for_what_the_server_says() -> None:
    assert why_it_waits(Shown(a_run(), waiting(summary="no GPU")), START) == "no GPU"
    assert why_it_waits(Shown(a_run(), {}), START) == ""


def test_a_documents_reason_is_read_beside_the_run() -> None:
    each = shown({**a_run().to_dict(), "waiting": waiting("paused")})

    assert (each.run.id, each.waiting) == (a_run().id, waiting("paused"))
    assert each.document["waiting"] == waiting("paused")
    assert "waiting" not in shown(a_run().to_dict()).document


def test_runs_that_wait_for_the_same_are_told_of_together() -> None:
    written = io.StringIO()
    found = [Shown(a_run(), waiting(summary="no GPU")) for _ in range(5)]

    reasons(found, Output(written, io.StringIO()))

    (line,) = written.getvalue().splitlines()[2:]
    assert line.endswith(" and 3 more: no GPU")


def test_of_many_reasons_the_first_are_told() -> None:
    written = io.StringIO()
    found = [Shown(a_run(), waiting(summary=f"reason {n}")) for n in range(8)]

    reasons(found, Output(written, io.StringIO()))

    assert written.getvalue().splitlines()[-1] == "  and 2 more reasons; gyoza explain RUN"

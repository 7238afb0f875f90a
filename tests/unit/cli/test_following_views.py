from __future__ import annotations

from gyoza.cli.following_views import last_failure
from gyoza.models import OpRun


def test_a_first_attempt_has_no_failure_before_it() -> None:
    assert last_failure(OpRun.create("image")) == ""


def test_a_later_attempt_says_why_the_one_before_it_failed() -> None:
    run = OpRun.create("nope:1")
    run.fail("the registry does not answer", reason="PULL_FAILED", charged=False)
    run.retry(force=True)

    assert last_failure(run) == "attempt 1 failed: PULL_FAILED: the registry does not answer"


def test_who_made_way_has_not_failed() -> None:
    run = OpRun.create("image")
    run.cancel("made way for run_2", reason="PREEMPTED")
    run.retry(force=True)

    assert last_failure(run) == "attempt 1 made way for a more urgent run; this one waits again"


def test_a_long_message_is_cut() -> None:
    run = OpRun.create("nope:1")
    run.fail("x" * 1000, reason="USER_ERROR")
    run.retry(force=True)

    assert len(last_failure(run)) < 400

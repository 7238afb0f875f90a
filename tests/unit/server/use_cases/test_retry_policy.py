from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.models import OpRun, RetryPolicy
from gyoza.server.settings import Settings
from gyoza.server.use_cases.retry_policy import (
    HOPELESS,
    MACHINERY,
    Decision,
    Failure,
    NoRetry,
    Retry,
    decide_retry,
    is_charged,
)

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)


def a_run(policy: RetryPolicy, *charges: bool) -> OpRun:
    """A run whose earlier attempts ended with these charges and whose current one is open."""
    run = OpRun.create("busybox", retry_policy=policy, now=NOON)
    for charged in charges:
        run.fail("boom", reason="USER_ERROR", charged=charged, now=NOON)
        run.retry(force=True, now=NOON)
    return run


class HighestRandom(Random):
    """Always gives what is nearest to 1."""

    def random(self) -> float:
        return 1.0


def decided(run: OpRun, failure: Failure, random: Random | None = None, **given: Any) -> Decision:
    return decide_retry(
        run, failure, now=NOON, random=random or HighestRandom(), settings=Settings(**given)
    )


def pause_s(decision: Decision) -> float:
    assert isinstance(decision, Retry)
    return (decision.due_at - NOON).total_seconds()


def test_without_attempts_left_there_is_no_retry() -> None:
    found = decided(a_run(RetryPolicy(2), True), Failure("OOM"))

    assert found == NoRetry("attempt 2 of 2 failed")


def test_uncharged_attempts_do_not_use_up_the_users() -> None:
    assert isinstance(decided(a_run(RetryPolicy(2), False, False), Failure("OOM")), Retry)


@pytest.mark.parametrize(("before", "expected"), [((), 1), ((True,), 2), ((True, True), 4)])
def test_the_users_backoff_doubles_with_each_charged_attempt(
    before: tuple[bool, ...], expected: float
) -> None:
    run = a_run(RetryPolicy(9, 1000), *before)

    assert pause_s(decided(run, Failure("USER_ERROR"))) == expected


def test_a_backoff_is_never_longer_than_its_cap() -> None:
    run = a_run(RetryPolicy(99, 60_000), *[True] * 50)

    assert pause_s(decided(run, Failure("USER_ERROR"))) == 360


@given(st.integers(0, 2**32), st.integers(0, 100_000))
def test_the_users_backoff_has_full_jitter(seed: int, backoff_ms: int) -> None:
    run = a_run(RetryPolicy(9, backoff_ms))

    found = pause_s(decided(run, Failure("USER_ERROR"), Random(seed)))

    assert 0 <= found <= backoff_ms / 1000


@pytest.mark.parametrize(("before", "expected"), [(0, 10), (1, 20), (2, 40), (3, 80)])
def test_the_machinerys_backoff_starts_at_ten_seconds_and_doubles(
    before: int, expected: float
) -> None:
    run = a_run(RetryPolicy(), *[False] * before)

    assert pause_s(decided(run, Failure("WORKER_LOST", charged=False))) == expected


def test_a_run_has_at_most_five_uncharged_attempts() -> None:
    run = a_run(RetryPolicy(), *[False] * 4)

    found = decided(run, Failure("WORKER_LOST", charged=False))

    assert found == NoRetry("the machinery failed it 5 times, last by WORKER_LOST")


@pytest.mark.parametrize("reason", sorted(HOPELESS))
def test_what_would_end_the_same_way_is_not_retried(reason: str) -> None:
    assert isinstance(decided(a_run(RetryPolicy(9)), Failure(reason)), NoRetry)


def test_an_op_may_say_that_another_attempt_cannot_help() -> None:
    found = decided(a_run(RetryPolicy(9)), Failure("USER_ERROR", retryable=False))

    assert isinstance(found, NoRetry)


def test_an_op_may_ask_for_a_longer_pause_up_to_the_cap() -> None:
    run = a_run(RetryPolicy(9))

    assert pause_s(decided(run, Failure("USER_ERROR", retry_after_ms=5000))) == 5
    assert pause_s(decided(run, Failure("USER_ERROR", retry_after_ms=10**9))) == 360


@pytest.mark.parametrize("reason", sorted(MACHINERY))
def test_the_machinery_is_never_charged_whatever_the_worker_says(reason: str) -> None:
    assert not is_charged(reason, said=True)


def test_the_users_own_failures_are_charged_whatever_the_worker_says() -> None:
    assert is_charged("OOM", said=False)


def test_a_reason_nobody_knows_is_charged_as_the_worker_says() -> None:
    assert [is_charged("NEW_REASON", said=said) for said in (True, False)] == [True, False]


def test_a_decision_depends_on_nothing_but_its_arguments() -> None:
    run = a_run(RetryPolicy(3, 700))

    found = [decided(run, Failure("OOM"), Random(5)) for _ in range(2)]

    assert found[0] == found[1]
    assert pause_s(found[0]) < timedelta(seconds=0.7).total_seconds()

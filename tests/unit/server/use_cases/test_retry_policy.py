from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.models import Constraints, OpRun, RetryPolicy
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

    found = decided(run, Failure("PULL_FAILED", charged=False))

    assert found == NoRetry("the machinery failed it 5 times, last by PULL_FAILED")


def test_attempts_before_a_retry_by_hand_count_no_more_against_the_machinery() -> None:
    run = a_run(RetryPolicy(), *[False] * 4)

    found = decide_retry(
        run,
        Failure("PULL_FAILED", charged=False),
        now=NOON,
        random=HighestRandom(),
        settings=Settings(),
        since=5,
    )

    assert isinstance(found, Retry)
    assert "uncharged attempt 1 of at most 5" in found.reason


@pytest.mark.parametrize(
    ("before", "poison"),
    [
        (["WORKER_LOST"] * 4, True),
        (["WORKER_LOST", "PULL_FAILED", "WORKER_LOST", "PULL_FAILED"], True),
        (["PULL_FAILED"] * 4, False),
    ],
)
def test_a_run_that_mostly_lost_its_workers_is_poison(before: list[str], poison: bool) -> None:  # noqa: FBT001
    run = OpRun.create("busybox", now=NOON)
    for reason in before:
        run.fail("gone", reason=reason, charged=False, now=NOON)
        run.retry(force=True, now=NOON)

    found = decided(run, Failure("WORKER_LOST", charged=False))

    assert isinstance(found, NoRetry)
    assert found.poison is poison


def a_small_run(**rule: Any) -> OpRun:
    policy = RetryPolicy.from_dict({"max_attempts": 9, **rule})
    needs = Constraints(cpu=1, ram_mb=300, vram_mb=1000)
    return OpRun.create("busybox", retry_policy=policy, constraints=needs, now=NOON)


def test_after_running_out_of_memory_the_next_attempt_gets_more_up_to_the_bound() -> None:
    run = a_small_run(on_oom={"factor": 1.5, "max_ram_mb": 500})
    sizes: list[int | None] = []

    for _ in range(3):
        found = decided(run, Failure("OOM"))
        assert isinstance(found, Retry)
        run.fail("out of memory", reason="OOM", now=NOON)
        run.retry(force=True, now=NOON, constraints=found.constraints)
        sizes.append(run.current_attempt.constraints.ram_mb)

    assert sizes == [450, 500, 500]
    assert run.current_attempt.constraints.vram_mb == 1000


def test_video_memory_grows_where_it_is_bounded() -> None:
    run = a_small_run(on_oom={"factor": 2, "max_vram_mb": 1500})

    found = decided(run, Failure("OOM"))

    assert isinstance(found, Retry)
    assert found.constraints == Constraints(cpu=1, ram_mb=300, vram_mb=1500)
    assert found.reason == (
        "attempt 1 of 9 failed; the next may use 300 MB of RAM and 1500 MB of VRAM"
    )


def test_a_bound_below_what_was_asked_for_takes_nothing_away() -> None:
    found = decided(a_small_run(on_oom={"factor": 2, "max_ram_mb": 100}), Failure("OOM"))

    assert isinstance(found, Retry)
    assert found.constraints is None


@pytest.mark.parametrize("reason", ["USER_ERROR", "DISK_LIMIT", "RUN_TIMEOUT"])
def test_only_running_out_of_memory_gives_more(reason: str) -> None:
    found = decided(a_small_run(on_oom={"max_ram_mb": 900}), Failure(reason))

    assert isinstance(found, Retry)
    assert found.constraints is None


@pytest.mark.parametrize(
    ("rules", "code", "retried"),
    [
        ({"fail": [3]}, 3, False),
        ({"fail": [3]}, 4, True),
        ({"retry": [3]}, 3, True),
        ({"retry": [3]}, 4, False),
        ({"retry": []}, 1, False),
        ({"retry": [3], "fail": [4]}, 4, False),
    ],
)
def test_exit_codes_say_what_is_worth_another_attempt(
    rules: dict[str, Any],
    code: int,
    retried: bool,  # noqa: FBT001
) -> None:
    found = decided(a_small_run(exit_codes=rules), Failure("USER_ERROR", exit_code=code))

    assert isinstance(found, Retry) is retried


def test_an_attempt_without_an_exit_code_is_no_matter_of_exit_codes() -> None:
    run = a_small_run(exit_codes={"retry": []})

    assert isinstance(decided(run, Failure("RUN_TIMEOUT")), Retry)
    assert isinstance(decided(run, Failure("OOM", exit_code=137)), Retry)


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

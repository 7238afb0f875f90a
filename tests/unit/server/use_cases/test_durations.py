"""What earlier runs tell about a run that waits or is at work."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from gyoza.server.storage.records import RunTimes
from gyoza.server.use_cases.durations import expected_end, most_seconds, usual_seconds

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
TEN_SECONDS = RunTimes(samples=5, log_mean=math.log(10), log_variance=math.log(2) ** 2)


def test_few_runs_tell_nothing() -> None:
    few = RunTimes(samples=4, log_mean=0, log_variance=0)

    assert most_seconds(few) is None
    assert most_seconds(None) is None
    assert usual_seconds(few) is None
    assert expected_end(few, NOON, NOON) is None


def test_a_cautious_guess_is_two_deviations_above_the_usual() -> None:
    assert most_seconds(TEN_SECONDS) == pytest.approx(40)


def test_the_usual_is_what_half_of_the_runs_took() -> None:
    assert usual_seconds(TEN_SECONDS) == pytest.approx(10)


def test_an_attempt_ends_when_half_of_those_like_it_did() -> None:
    end = expected_end(TEN_SECONDS, NOON, NOON + timedelta(seconds=4))

    assert end == NOON + timedelta(seconds=10)


def test_an_attempt_over_its_time_is_expected_to_go_on_for_a_quarter_of_it() -> None:
    end = expected_end(TEN_SECONDS, NOON, NOON + timedelta(seconds=40))

    assert end == NOON + timedelta(seconds=50)

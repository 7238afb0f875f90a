"""`--at` and `--in`: what people type, in their own zone, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gyoza.cli.failures import CliError
from gyoza.cli.moments import moment_at, seconds_in
from gyoza.models.timestamps import format_time

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2031, 5, 4, 12, 0, tzinfo=BERLIN)


def at(text: str, now: datetime = NOON) -> str:
    return format_time(moment_at(text, now, BERLIN))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:30", "2031-05-04T20:30:00.000000Z"),
        ("7:05", "2031-05-05T05:05:00.000000Z"),
        ("2031-05-06 08:00", "2031-05-06T06:00:00.000000Z"),
        ("2031-05-06T08:00:00Z", "2031-05-06T08:00:00.000000Z"),
        ("2031-12-24 18:00", "2031-12-24T17:00:00.000000Z"),
    ],
)
def test_a_time_is_of_the_callers_own_clock_unless_it_says_its_offset(
    text: str, expected: str
) -> None:
    assert at(text) == expected


def test_a_time_of_day_that_is_now_is_tomorrows() -> None:
    assert at("12:00") == "2031-05-05T10:00:00.000000Z"


def test_a_time_of_day_after_the_clocks_change_is_that_days() -> None:
    eve = datetime(2031, 10, 25, 23, 0, tzinfo=BERLIN)

    assert at("08:00", eve) == "2031-10-26T07:00:00.000000Z"


def test_the_machines_own_zone_is_taken_when_none_is_named() -> None:
    now = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)

    moment = moment_at("2031-05-06 08:00", now)

    assert moment.replace(tzinfo=None) == datetime(2031, 5, 6, 8, 0)  # noqa: DTZ001


def test_a_time_that_is_past_is_refused_and_said_to_be() -> None:
    with pytest.raises(CliError, match=r"2031-05-01 08:00 is 2031-05-01T06.*past"):
        at("2031-05-01 08:00")


@pytest.mark.parametrize("text", ["tomorrow", "25:00", "", "2031-13-01 08:00"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CliError, match="expected a time") as refused:
        at(text)

    assert "22:30" in (refused.value.hint or "")


def test_a_duration_is_read_in_its_units() -> None:
    assert seconds_in("2h30m") == 9000
    with pytest.raises(CliError, match="--in: got 'soon'"):
        seconds_in("soon")

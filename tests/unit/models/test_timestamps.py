from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from gyoza.models.timestamps import as_utc, format_time, parse_time, utc_now
from tests.unit.models.strategies import instants


@given(moment=instants)
def test_a_written_time_reads_back_as_the_same_instant(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_times_are_written_in_utc_with_microseconds_and_z() -> None:
    moment = datetime(2031, 5, 4, 11, 8, 7, tzinfo=timezone(timedelta(hours=2)))

    assert format_time(moment) == "2031-05-04T09:08:07.000000Z"


@pytest.mark.parametrize("text", ["", "soon", "2031-05-04", "2031-05-04T09:08:07"])
def test_a_text_without_a_time_and_its_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"offset|isoformat"):
        parse_time(text)


def test_a_time_outside_the_calendar_in_utc_is_refused() -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        parse_time("0001-01-01T00:00:00+02:00")


def test_no_moment_means_now_and_one_without_a_zone_counts_as_utc() -> None:
    before = utc_now()

    assert before <= as_utc(None) <= utc_now()
    assert as_utc(datetime(2031, 1, 1)) == datetime(2031, 1, 1, tzinfo=UTC)  # noqa: DTZ001

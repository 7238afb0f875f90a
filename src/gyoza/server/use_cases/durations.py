"""How long runs take, as far as earlier ones tell: pure functions over what was learned."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from gyoza.server.storage.records import RunTimes

_ENOUGH_SAMPLES: Final = 5
# About one run in fifty takes longer than that many deviations above the mean.
_CAUTIOUS: Final = 2.0
_OVERDUE_SHARE: Final = 0.25


def most_seconds(learned: RunTimes | None) -> float | None:
    """Return what a run will hardly exceed, in seconds; None while too few runs are known."""
    if learned is None or learned.samples < _ENOUGH_SAMPLES:
        return None
    return learned.at_most_s(_CAUTIOUS)


def usual_seconds(learned: RunTimes | None) -> float | None:
    """Return what half of the runs stay below, in seconds; None while too few runs are known."""
    if learned is None or learned.samples < _ENOUGH_SAMPLES:
        return None
    return learned.typical_s


def expected_end(learned: RunTimes | None, since: datetime, now: datetime) -> datetime | None:
    """Return when an attempt that is at work will end, as likely before as after.

    Args:
        learned: What is known of runs like it.
        since: When it began.
        now: The moment of the question; an attempt that is over its time is expected to take a
            quarter longer than it already has.

    Returns:
        None while too few runs are known.
    """
    if learned is None or learned.samples < _ENOUGH_SAMPLES:
        return None
    usual = since + timedelta(seconds=learned.typical_s)
    return usual if usual > now else now + (now - since) * _OVERDUE_SHARE

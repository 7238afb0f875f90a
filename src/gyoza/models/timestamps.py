"""Instants as the domain writes and reads them: aware UTC, ISO 8601 with microseconds and "Z".

The one place where the domain asks the machine for the time; production passes ``now`` instead.
Durations and deadlines are counted elsewhere, on the monotonic clock.
"""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current instant, aware and in UTC: what ``now=None`` means in the models."""
    return datetime.now(UTC)


def as_utc(moment: datetime | None) -> datetime:
    """Return the instant in UTC.

    Args:
        moment: An aware instant; one without an offset counts as UTC; None is the current instant.
    """
    if moment is None:
        return utc_now()
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Return ``2031-05-04T09:08:07.000006Z`` for the instant; exact to the microsecond."""
    return as_utc(moment).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 instant that says its offset (``Z`` or ``+02:00``) and return it in UTC.

    Raises:
        ValueError: The text is no such instant, has no offset, or lies outside years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write the time with Z or an offset like +02:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from error

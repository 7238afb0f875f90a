"""Moments as people type them: `--at 22:30`, `--at "2026-12-01 08:00"`, `--in 2h30m`."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from typing import Final

from gyoza.cli.failures import CliError
from gyoza.models.timestamps import format_time
from gyoza.op import quantities

_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_A_DAY: Final = timedelta(days=1)


def moment_at(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Return the moment that `--at` names.

    Args:
        text: An RFC 3339 time; a date and a time without offset, or a time of day alone, both by
            the caller's own clock, the latter being the next such.
        now: The moment.
        zone: The caller's; None is the machine's, with its summer time as of that day.

    Raises:
        CliError: It is no such time, or lies in the past.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found:
        return _next(time(int(found[1]), int(found[2])), now, zone)
    moment = _dated(text, zone)
    if moment <= now:
        raise CliError(
            f"--at {text} is {format_time(moment)}, and that is past",
            hint="leave --at out to run at once, or name a time to come, such as 22:30",
        )
    return moment


def seconds_in(text: str, option: str = "--in") -> float:
    """Return the seconds that an option names.

    Raises:
        CliError: It is no duration.
    """
    try:
        return quantities.seconds(text)
    except ValueError as error:
        raise CliError(f"{option}: {error}") from error


def _next(at: time, now: datetime, zone: tzinfo | None) -> datetime:
    today = now.astimezone(zone).date()
    moment = _in_zone(datetime.combine(today, at), zone)
    return moment if moment > now else _in_zone(datetime.combine(today + _A_DAY, at), zone)


def _dated(text: str, zone: tzinfo | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CliError(
            f"--at: got {text[:80]!r}, expected a time",
            hint="such as 22:30, '2031-05-04 08:00' (your own clock) or 2031-05-04T08:00:00Z",
        ) from None
    return _in_zone(moment, zone) if moment.tzinfo is None else moment


def _in_zone(naive: datetime, zone: tzinfo | None) -> datetime:
    return naive.astimezone() if zone is None else naive.replace(tzinfo=zone)

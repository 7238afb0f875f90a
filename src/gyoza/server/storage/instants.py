"""Instants as the database keeps them: integer microseconds since the epoch, exact both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, overload

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@overload
def to_us(moment: datetime) -> int: ...
@overload
def to_us(moment: datetime | None) -> int | None: ...
def to_us(moment: datetime | None) -> int | None:
    """Microseconds since the epoch of an aware instant; None stays None."""
    return None if moment is None else (moment - EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The aware instant in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def maybe_from_us(microseconds: int | None) -> datetime | None:
    """Like `from_us`; None stays None."""
    return None if microseconds is None else from_us(microseconds)

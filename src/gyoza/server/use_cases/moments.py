"""Times that workers report, made safe to store: a worker's clock may be wrong by any amount."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST: Final = timedelta(days=30)


def moment_of(t_us: int, now: datetime) -> datetime:
    """Return a reported time; nothing happened after it was reported, or ages before.

    Args:
        t_us: Microseconds since the epoch by the worker's clock.
        now: The server's time when the report came.
    """
    try:
        return min(max(_EPOCH + timedelta(microseconds=t_us), now - _OLDEST), now)
    except OverflowError:
        return now


def microseconds(moment: datetime) -> int:
    """Return the microseconds since the epoch, as messages between machines carry them."""
    return (moment - _EPOCH) // timedelta(microseconds=1)

"""The server's clock: the one place of the server that asks the machine for the time.

Everything else takes a `Clock`. `ManualClock` is the same contract for tests and simulations: time
stands still until someone moves it. What is due at a time is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The current instant, aware and in UTC, to the microsecond."""
        ...

    def now_us(self) -> int:
        """The current instant in microseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back. For durations only."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long; zero and less only lets others run."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(max(seconds, 0))


class ManualClock:
    """A clock that stands still until `advance` moves it; then due sleepers wake, earliest first.

    Args:
        start: The first instant; aware.
    """

    def __init__(self, start: datetime = datetime(2031, 5, 4, 9, 8, 7, tzinfo=UTC)) -> None:
        self._start_us = (start - _EPOCH) // timedelta(microseconds=1)
        self._now_us = self._start_us
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """See `Clock.now`."""
        return _EPOCH + timedelta(microseconds=self._now_us)

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def monotonic(self) -> float:
        """See `Clock.monotonic`; starts at 0."""
        return (self._now_us - self._start_us) / 1e6

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`; returns once `advance` has reached that moment."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._now_us + round(seconds * 1e6)
        heapq.heappush(self._sleepers, (due, next(self._order), wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Move time forward and wake who is due; call it in the sleepers' event loop."""
        self._now_us += round(seconds * 1e6)
        while self._sleepers and self._sleepers[0][0] <= self._now_us:
            _, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)

    @property
    def sleepers(self) -> int:
        """How many are waiting for time to pass."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

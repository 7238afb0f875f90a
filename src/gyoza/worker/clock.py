"""Time as the worker sees it: a value handed in, never asked of the machine behind one's back.

`SystemClock` is the machine's own; `ManualClock` moves only when told, so that an hour of waiting
is tested in no time. Nothing else that is particular to the worker belongs here.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, final


class Clock(Protocol):
    """What the time is, how long something took, and a way to let time pass."""

    def now(self) -> datetime:
        """Wall-clock time, in UTC and aware of it: for people and records, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment, never running backwards: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass; zero or less only lets other tasks run."""
        ...


# Leases run on while a machine sleeps, and Linux's monotonic clock stands still.
_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@final
class SystemClock:
    """The machine's clock and the event loop's timers."""

    __slots__ = ()

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock.monotonic`; counts the time for which the machine was suspended."""
        return time.clock_gettime(_BOOT_CLOCK)

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(max(seconds, 0.0))


@final
class ManualClock:
    """A clock that stands still until `advance` moves it.

    Args:
        start: The wall-clock time at which it begins; the monotonic time begins at zero.
    """

    __slots__ = ("_elapsed_s", "_sleepers", "_start")

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed_s + seconds, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the clock, waking sleepers at their own moments, earliest first.

        After each waking the other tasks get a few turns, so that one who sleeps again within the
        same stretch of time is woken within it too.
        """
        target_s = self._elapsed_s + seconds
        await self._let_others_run()
        while (due_s := self._next_due_s()) is not None and due_s <= target_s:
            self._elapsed_s = due_s
            self._wake_due()
            await self._let_others_run()
        self._elapsed_s = target_s

    def _next_due_s(self) -> float | None:
        self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[1].done()]
        return min((due_s for due_s, _ in self._sleepers), default=None)

    def _wake_due(self) -> None:
        for due_s, woken in self._sleepers:
            if due_s <= self._elapsed_s and not woken.done():
                woken.set_result(None)

    @staticmethod
    async def _let_others_run() -> None:
        # A woken task may hand over to a few more before anyone sleeps again; ten turns cover the
        # longest such chain in the worker, and turns without work cost microseconds.
        for _ in range(10):
            await asyncio.sleep(0)

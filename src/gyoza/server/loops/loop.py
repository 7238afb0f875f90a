"""Running a duty again and again: started and stopped once, woken early, never ended by an error.

Errors are logged when they begin and when they are over, not at every tick between. A failing duty
is tried again after a pause that doubles up to a minute.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import Any, Final, Protocol

import structlog

from gyoza.server.clock import Clock
from gyoza.server.storage.wakeups import Waiter, Wakeups

_log = structlog.stdlib.get_logger("gyoza.server.loops")
_JITTER: Final = 0.2
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0
_FOREVER_S: Final = 3600.0


class Duty(Protocol):
    """What a loop does.

    Attributes:
        name: Names it in the log.
        topic: Of `Wakeups`; an announcement makes the next tick come at once. None: none does.
    """

    name: str
    topic: str | None

    async def tick(self) -> float:
        """Do it once and return the seconds until it is due again."""
        ...


class Loop:
    """Runs one duty until it is stopped.

    Args:
        duty: What to do.
        wakeups: Where the duty's topic is announced.
        clock: Waits.
        random: Jitter, so that several servers do not tick together.
    """

    def __init__(self, duty: Duty, wakeups: Wakeups, clock: Clock, random: Random) -> None:
        self._duty = duty
        self._wakeups = wakeups
        self._clock = clock
        self._random = random
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._failures = 0
        self._last_tick: float | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the last tick that succeeded; None before the first."""
        return None if self._last_tick is None else self._clock.monotonic() - self._last_tick

    def start(self) -> None:
        """Begin; starting again changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"loop {self._duty.name}")

    async def stop(self) -> None:
        """End between two ticks, or where a tick waits; stopping again changes nothing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """Let the next tick come at once; in the loop's own thread."""
        self._woken.set()

    async def _run(self) -> None:
        if self._duty.topic is None:
            await self._repeat(None)
            return
        # Subscribed before the first tick, so that nothing announced since is missed.
        async with self._wakeups.subscribe(self._duty.topic) as waiter:
            await self._repeat(waiter)

    async def _repeat(self, waiter: Waiter | None) -> None:
        while True:
            self._woken.clear()
            delay_s = await self._tick()
            await self._wait(delay_s * self._random.uniform(1 - _JITTER, 1), waiter)

    async def _tick(self) -> float:
        try:
            delay_s = await self._duty.tick()
        except Exception as error:  # noqa: BLE001 - a duty that ended would be missed silently
            return self._pause_after(error)
        if self._failures:
            _log.info("duty recovered", duty=self._duty.name, failures=self._failures)
        self._failures = 0
        self._last_tick = self._clock.monotonic()
        return delay_s

    def _pause_after(self, error: Exception) -> float:
        self._failures += 1
        if self._failures == 1:
            _log.error("duty fails", duty=self._duty.name, exc_info=error)
        return min(_FIRST_PAUSE_S * 2 ** min(self._failures - 1, 16), _LONGEST_PAUSE_S)

    async def _wait(self, delay_s: float, waiter: Waiter | None) -> None:
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._clock.sleep(delay_s)),
            asyncio.ensure_future(self._woken.wait()),
        ]
        # After a failure the pause is the point: an announcement does not shorten it.
        if waiter is not None and not self._failures:
            waits.append(asyncio.ensure_future(waiter.wait(_FOREVER_S)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

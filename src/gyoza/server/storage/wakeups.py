"""Wakes who waits for a topic when a transaction that touched it has committed.

A wake carries no data: who is woken reads the database, which is the truth. A wake that comes
while nobody waits is kept for the waiter's next `wait`, so subscribing before reading misses
nothing. Within this process only; several servers add their own way of telling each other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress


class Waiter:
    """One subscriber of one topic, in one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the topic.

        Returns:
            True when it was announced since the last `wait` (or since subscribing), False when
            the time passed without.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    def wake(self) -> None:
        """Wake the waiter; from any thread."""
        with suppress(RuntimeError):  # its loop is closed, so nobody waits
            self._loop.call_soon_threadsafe(self._woken.set)


class Wakeups:
    """Topics and who waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Dictionaries, being sets that keep their order: who is woken first must not depend on
        # addresses in memory, or a simulated seed would not replay.
        self._waiters: dict[str, dict[Waiter, None]] = {}

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[Waiter]:
        """Wait for a topic (`run:<id>`, `worker:<id>`, `dispatch`, `events`) inside the block."""
        waiter = Waiter()
        with self._lock:
            self._waiters.setdefault(topic, {})[waiter] = None
        try:
            yield waiter
        finally:
            self._drop(topic, waiter)

    @property
    def topics(self) -> frozenset[str]:
        """The topics that somebody waits for."""
        with self._lock:
            return frozenset(self._waiters)

    def announce(self, topics: Iterable[str]) -> None:
        """Wake everyone who waits for one of the topics; from any thread, never blocks."""
        with self._lock:
            woken = dict.fromkeys(
                waiter for topic in topics for waiter in self._waiters.get(topic, ())
            )
        for waiter in woken:
            waiter.wake()

    def _drop(self, topic: str, waiter: Waiter) -> None:
        with self._lock:
            waiters = self._waiters[topic]
            waiters.pop(waiter, None)
            if not waiters:
                del self._waiters[topic]

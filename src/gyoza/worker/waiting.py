"""Waiting for one of several things, over a clock that is handed in.

What the things are, and what follows, is the caller's business.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from gyoza.worker.clock import Clock

T = TypeVar("T")


async def first_of(*things: Coroutine[Any, Any, Any]) -> None:
    """Wait until any of these has ended; the others are cancelled, and have ended on return."""
    tasks = [asyncio.ensure_future(thing) for thing in things]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)


async def happens_within(clock: Clock, seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event, at most `seconds`; returns whether it has happened."""
    if not event.is_set():
        await first_of(event.wait(), clock.sleep(seconds))
    return event.is_set()


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended; what they raised is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ignoring_cancellation(work: Awaitable[T]) -> T:
    """Finish a short piece of work even if this task is cancelled meanwhile, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Backoff:
    """Growing pauses with full jitter, so that many workers do not come back at one moment.

    Args:
        draw: Where the jitter comes from.
        first_s: Longest first pause; it doubles each time.
        most_s: Longest pause of all.
    """

    __slots__ = ("_draw", "_first_s", "_most_s", "failures")

    def __init__(self, draw: random.Random, *, first_s: float = 0.5, most_s: float = 15.0) -> None:
        self._draw = draw
        self._first_s = first_s
        self._most_s = most_s
        self.failures = 0

    def next_s(self) -> float:
        """Count one more failure and say how long to pause."""
        longest_s = min(self._most_s, self._first_s * 2**self.failures)
        self.failures = min(self.failures + 1, 30)
        # Never zero: a server that refuses connections at once must not be asked in a tight loop.
        return max(0.05, self._draw.uniform(0, longest_s))

    def reset(self) -> None:
        """It worked: begin anew."""
        self.failures = 0

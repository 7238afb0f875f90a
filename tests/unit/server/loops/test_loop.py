from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import structlog

from gyoza.server.clock import ManualClock
from gyoza.server.loops.loop import Loop
from gyoza.server.storage.wakeups import Wakeups

pytestmark = pytest.mark.anyio


class Counting:
    """A duty that counts its ticks and fails as often as it is told to."""

    name = "counting"
    topic: str | None = "work"

    def __init__(self, failures: int = 0) -> None:
        self.ticks = 0
        self.failures = failures
        self.ticked = asyncio.Event()

    async def tick(self) -> float:
        self.ticks += 1
        self.ticked.set()
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is gone")
        return 10.0


@asynccontextmanager
async def running(duty: Counting) -> AsyncIterator[tuple[Loop, ManualClock, Wakeups]]:
    clock, wakeups = ManualClock(), Wakeups()
    loop = Loop(duty, wakeups, clock, Random(1))
    loop.start()
    loop.start()
    try:
        yield loop, clock, wakeups
    finally:
        await loop.stop()
        await loop.stop()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not what():  # noqa: ASYNC110 - a clock that stands still announces nothing
            await asyncio.sleep(0)


async def waiting(clock: ManualClock) -> None:
    await until(lambda: clock.sleepers == 1)


async def test_a_duty_is_done_at_once_and_again_when_its_time_has_come() -> None:
    duty = Counting()
    async with running(duty) as (_, clock, _):
        await waiting(clock)
        first = duty.ticks
        clock.advance(10)
        await until(lambda: duty.ticks == 2)

    assert first == 1


async def test_an_announcement_makes_the_next_tick_come_at_once() -> None:
    duty = Counting()
    async with running(duty) as (_, clock, wakeups):
        await waiting(clock)
        wakeups.announce(["work"])
        await until(lambda: duty.ticks == 2)


async def test_an_announcement_during_a_tick_is_not_missed() -> None:
    class Announcing(Counting):
        async def tick(self) -> float:
            delay_s = await super().tick()
            if self.ticks == 1:
                wakeups.announce(["work"])
                await asyncio.sleep(0)
            return delay_s

    duty = Announcing()
    async with running(duty) as (_, _, wakeups):
        await until(lambda: duty.ticks == 2)


async def test_waking_a_loop_by_hand_needs_no_topic() -> None:
    duty = Counting()
    duty.topic = None
    async with running(duty) as (loop, clock, _):
        await waiting(clock)
        loop.wake()
        await until(lambda: duty.ticks == 2)


async def test_an_error_does_not_end_a_loop_and_is_logged_when_it_begins_and_is_over() -> None:
    duty = Counting(failures=3)
    with structlog.testing.capture_logs() as logs:
        async with running(duty) as (_, clock, _):
            for pause_s in (0.5, 1, 2):
                await waiting(clock)
                clock.advance(pause_s)
                await until(lambda: clock.sleepers == 0)
            await waiting(clock)

    assert duty.ticks == 4
    assert [entry["event"] for entry in logs] == ["duty fails", "duty recovered"]
    assert logs[1]["failures"] == 3


async def test_a_failing_duty_is_not_hurried_by_announcements() -> None:
    duty = Counting(failures=1)
    with structlog.testing.capture_logs():
        async with running(duty) as (_, clock, wakeups):
            await waiting(clock)
            wakeups.announce(["work"])
            for _ in range(20):
                await asyncio.sleep(0)

    assert duty.ticks == 1


async def test_the_age_counts_from_the_last_tick_that_succeeded() -> None:
    duty = Counting()
    async with running(duty) as (loop, clock, _):
        before = loop.age_s
        await waiting(clock)
        clock.advance(3)

        assert (before, loop.age_s) == (None, 3)


async def test_a_stopped_loop_does_not_tick_any_more() -> None:
    duty = Counting()
    async with running(duty) as (loop, clock, wakeups):
        await waiting(clock)
        await loop.stop()
        wakeups.announce(["work"])
        clock.advance(100)
        for _ in range(20):
            await asyncio.sleep(0)

    assert duty.ticks == 1

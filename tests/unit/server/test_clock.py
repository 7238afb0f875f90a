"""Both clocks keep the contract; the manual one stands still until it is moved."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

import pytest

from gyoza.server.clock import Clock, ManualClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
def test_now_is_aware_and_agrees_with_its_microseconds(clock: Clock) -> None:
    before, now, after = clock.now_us(), clock.now(), clock.now_us()

    assert now.tzinfo is UTC
    assert before <= round(now.timestamp() * 1e6) <= after


@pytest.mark.anyio
@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
async def test_a_sleep_of_nothing_ends_by_itself(clock: Clock) -> None:
    started = clock.monotonic()

    await clock.sleep(0)
    await clock.sleep(-1)

    assert clock.monotonic() >= started


@pytest.mark.anyio
async def test_sleepers_wake_in_the_order_in_which_they_are_due() -> None:
    clock = ManualClock()
    start = clock.now()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper("late", 2)), asyncio.create_task(sleeper("early", 1))]
    await asyncio.sleep(0)
    clock.advance(1.5)
    await tasks[1]
    waiting = clock.sleepers
    clock.advance(0.5)
    await tasks[0]

    assert woken == ["early", "late"]
    assert waiting == 1
    assert clock.now() - start == timedelta(seconds=2)
    assert clock.monotonic() == 2

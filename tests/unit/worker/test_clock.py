"""Time that moves by itself, and time that moves when told."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from gyoza.worker.clock import ManualClock, SystemClock

pytestmark = pytest.mark.anyio


async def test_the_machines_clock_knows_its_zone_and_lets_time_pass() -> None:
    clock = SystemClock()
    before = clock.monotonic()

    await clock.sleep(0.01)

    assert clock.monotonic() - before >= 0.009
    assert clock.now().tzinfo is UTC


async def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    sleeping = asyncio.create_task(clock.sleep(10))

    await clock.advance(9.5)
    too_early = sleeping.done()
    await clock.advance(0.5)

    assert not too_early
    assert sleeping.done()
    assert clock.monotonic() == 10
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=10)


async def test_sleepers_wake_in_the_order_of_their_moments_and_at_them() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleep_and_note(name: str, seconds: float, again_s: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))
        await clock.sleep(again_s)
        woken.append((name, clock.monotonic()))

    late = asyncio.create_task(sleep_and_note("late", 5, 1))
    early = asyncio.create_task(sleep_and_note("early", 2, 2))
    await clock.advance(100)
    await asyncio.gather(late, early)

    assert woken == [("early", 2), ("early", 4), ("late", 5), ("late", 6)]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)

    sleeping.cancel()
    await asyncio.wait({sleeping})
    await clock.advance(2)

    assert sleeping.cancelled()
    assert clock.monotonic() == 2


async def test_the_machines_clock_counts_the_time_for_which_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)

    now = SystemClock().monotonic()

    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)

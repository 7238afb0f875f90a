"""Who waits for a topic is woken once, from any thread, and misses nothing after subscribing."""

from __future__ import annotations

import threading

import pytest

from gyoza.server.storage.wakeups import Wakeups

pytestmark = pytest.mark.anyio


async def test_a_topic_announced_in_another_thread_wakes_its_waiter_only() -> None:
    wakeups = Wakeups()
    async with wakeups.subscribe("run:1") as mine, wakeups.subscribe("run:2") as other:
        threading.Thread(target=wakeups.announce, args=(["run:1"],)).start()

        assert await mine.wait(5)
        assert not await other.wait(0.01)


async def test_what_is_announced_before_the_wait_is_not_missed() -> None:
    wakeups = Wakeups()
    async with wakeups.subscribe("dispatch") as waiter:
        wakeups.announce(["dispatch"])

        assert await waiter.wait(5)


async def test_many_announcements_wake_once() -> None:
    wakeups = Wakeups()
    async with wakeups.subscribe("dispatch") as waiter:
        for _ in range(3):
            wakeups.announce(["dispatch"])

        assert await waiter.wait(5)
        assert not await waiter.wait(0.01)


async def test_everyone_who_waits_for_a_topic_is_woken() -> None:
    wakeups = Wakeups()
    async with wakeups.subscribe("events") as one, wakeups.subscribe("events") as two:
        wakeups.announce(["events", "nobody waits for this"])

        assert await one.wait(5)
        assert await two.wait(5)


async def test_after_the_block_nobody_is_remembered() -> None:
    wakeups = Wakeups()
    async with wakeups.subscribe("events"):
        pass

    wakeups.announce(["events"])

    assert wakeups.topics == frozenset()

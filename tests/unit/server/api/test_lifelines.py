"""When a long request ends."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from gyoza.server.api.lifelines import Lifeline, Stopping
from gyoza.server.storage.wakeups import Wakeups

pytestmark = pytest.mark.anyio
LONG_S = 30.0


class Client:
    """The receiving end of a request whose body was read."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_a_wake_up_goes_on() -> None:
    wakeups = Wakeups()

    async with wakeups.subscribe("t") as waiter, Lifeline(Client().receive, Stopping()) as line:
        wakeups.announce(["t"])
        goes_on = await line.wait(waiter, LONG_S)

    assert goes_on


async def test_a_passed_time_goes_on() -> None:
    async with (
        Wakeups().subscribe("t") as waiter,
        Lifeline(Client().receive, Stopping()) as line,
    ):
        assert await line.wait(waiter, 0.001)


async def test_a_client_that_goes_ends_the_wait() -> None:
    client = Client()

    async with Wakeups().subscribe("t") as waiter, Lifeline(client.receive, Stopping()) as line:
        waiting = asyncio.create_task(line.wait(waiter, LONG_S))
        await asyncio.sleep(0)
        client.gone.set()
        goes_on = await waiting

    assert not goes_on
    assert line.ended


async def test_stopping_ends_every_wait() -> None:
    stopping, wakeups = Stopping(), Wakeups()

    async with (
        wakeups.subscribe("t") as one,
        wakeups.subscribe("t") as two,
        Lifeline(Client().receive, stopping) as first,
        Lifeline(Client().receive, stopping) as second,
    ):
        waits = asyncio.gather(first.wait(one, LONG_S), second.wait(two, LONG_S))
        await asyncio.sleep(0)
        stopping.begin()
        goes_on = await waits

    assert goes_on == [False, False]


async def test_a_request_that_comes_after_stopping_does_not_wait() -> None:
    stopping = Stopping()
    stopping.begin()

    async with Wakeups().subscribe("t") as waiter, Lifeline(Client().receive, stopping) as line:
        assert not await line.wait(waiter, LONG_S)


async def test_a_finished_request_is_forgotten() -> None:
    stopping = Stopping()

    async with Lifeline(Client().receive, stopping) as line:
        pass
    stopping.begin()

    assert not line.ended

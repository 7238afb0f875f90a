"""Server-sent events: their text, and how a stream passes the time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message

from gyoza.server.api.event_streams import HEARTBEAT, Pace, Portion, end_frame, follow, frame
from gyoza.server.api.lifelines import Lifeline, Stopping
from gyoza.server.clock import ManualClock
from gyoza.server.storage.wakeups import Wakeups

pytestmark = pytest.mark.anyio


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


class Looks:
    """Gives prepared portions; each look takes a while on the clock."""

    def __init__(self, portions: Sequence[Portion], clock: ManualClock, look_s: float = 0) -> None:
        self.portions = list(portions)
        self.clock = clock
        self.look_s = look_s
        self.looked = asyncio.Event()

    async def __call__(self) -> Portion:
        self.clock.advance(self.look_s)
        self.looked.set()
        return self.portions.pop(0)


END = end_frame({})


def quiet(*, over: bool = False) -> Portion:
    return Portion([], more=False, over=over)


async def sent_by(looks: Looks, poll_s: float = 0.001) -> list[bytes]:
    pace = Pace(looks.clock, poll_s=poll_s)
    async with Wakeups().subscribe("t") as waiter, Lifeline(never, Stopping()) as line:
        return [part async for part in follow(looks, waiter, line, pace)]


async def test_a_frame_has_its_type_its_id_and_one_line_of_data() -> None:
    written = frame("log", "1.7", {"text": "a\nb\u2028"})

    assert written == 'event: log\nid: 1.7\ndata: {"text":"a\\nb\u2028"}\n\n'.encode()


async def test_a_stream_ends_with_end_once_it_is_over() -> None:
    looks = Looks([Portion([b"1", b"2"], more=False, over=True)], ManualClock())

    assert await sent_by(looks) == [b"12", END]


async def test_a_full_portion_is_followed_by_the_next_before_the_end() -> None:
    full = Portion([b"1"], more=True, over=True)
    looks = Looks([full, Portion([b"2"], more=False, over=True)], ManualClock())

    assert await sent_by(looks) == [b"1", b"2", END]


async def test_a_silent_stream_sends_a_comment_every_fifteen_seconds() -> None:
    looks = Looks([quiet(), quiet(), quiet(), quiet(over=True)], ManualClock(), look_s=5)

    assert await sent_by(looks) == [HEARTBEAT, END]


async def test_a_stream_looks_again_when_woken() -> None:
    wakeups, clock = Wakeups(), ManualClock()
    looks = Looks([quiet(), Portion([b"1"], more=False, over=True)], clock)

    async with wakeups.subscribe("t") as waiter, Lifeline(never, Stopping()) as line:
        stream = follow(looks, waiter, line, Pace(clock, poll_s=30))
        first = asyncio.ensure_future(anext(stream))
        await looks.looked.wait()
        wakeups.announce(["t"])

        assert await first == b"1"
        await stream.aclose()


async def test_a_stream_of_a_stopping_server_ends_without_end() -> None:
    stopping, clock = Stopping(), ManualClock()
    looks = Looks([quiet()], clock)

    async with Wakeups().subscribe("t") as waiter, Lifeline(never, stopping) as line:
        asyncio.get_running_loop().call_soon(stopping.begin)
        sent = [part async for part in follow(looks, waiter, line, Pace(clock, poll_s=30))]

    assert sent == []

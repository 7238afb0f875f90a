"""Server-sent events (WHATWG HTML, section 9.2): the text format, and the response that sends it.

`follow` is how every stream lives: read a bounded portion, send it, wait to be woken. While it is
silent it sends a comment every 15 s, so that proxies keep the connection and a vanished client is
noticed; and it looks by itself every 5 s, in case a wake-up was lost.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gyoza.server.api.lifelines import Lifeline, Stopping, Waiter
from gyoza.server.clock import Clock
from gyoza.wire import strict_json
from gyoza.wire.messages import JsonObject

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT: Final = b": still here\n\n"
RETRY_MS: Final = 1000
RETRY: Final = f"retry: {RETRY_MS}\n\n".encode()

Frames: TypeAlias = Callable[[Lifeline], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How a silent stream passes the time.

    Attributes:
        poll_s: Seconds after which it looks by itself.
        heartbeat_s: Seconds of silence after which it sends a comment.
        clock: Measures the silence.
    """

    clock: Clock
    poll_s: float = 5.0
    heartbeat_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Portion:
    """What one look at the store gave.

    Attributes:
        frames: To be sent, in order.
        more: The portion was full, so there may be more at once.
        over: Nothing will ever follow.
        last_words: What the end of the stream says, as `data`, when it is over.
    """

    frames: list[bytes]
    more: bool
    over: bool
    last_words: JsonObject = field(default_factory=dict[str, Any])


def frame(event: str, event_id: str, data: JsonObject) -> bytes:
    """Write one event.

    Args:
        event: Its type, one word.
        event_id: What `Last-Event-ID` brings back.
        data: Compact JSON has no line ends, so one `data:` line holds it.
    """
    head = f"event: {event}\nid: {event_id}\ndata: ".encode()
    return head + strict_json.dumps(data) + b"\n\n"


def end_frame(last_words: JsonObject) -> bytes:
    """Write the event that ends a stream for good; it has no id, since nothing follows it."""
    return b"event: end\ndata: " + strict_json.dumps(last_words) + b"\n\n"


async def follow(
    look: Callable[[], Awaitable[Portion]], waiter: Waiter, lifeline: Lifeline, pace: Pace
) -> AsyncGenerator[bytes, None]:
    """Yield what `look` finds, now and whenever woken, until it is over or the lifeline ends.

    Args:
        look: Returns what came since it was last called.
        waiter: Subscribed before the first look, so that nothing falls between.
        lifeline: Ends the stream.
        pace: How silence is passed.
    """
    spoke_at = pace.clock.monotonic()
    while not lifeline.ended:
        portion = await look()
        if portion.frames:
            yield b"".join(portion.frames)
            spoke_at = pace.clock.monotonic()
        if portion.more:
            continue
        if portion.over:
            yield end_frame(portion.last_words)
            return
        if pace.clock.monotonic() - spoke_at >= pace.heartbeat_s:
            yield HEARTBEAT
            spoke_at = pace.clock.monotonic()
        await lifeline.wait(waiter, pace.poll_s)


class EventStream(Response):
    """An answer that stays open, and that no cache or proxy should hold back.

    Starlette's streaming response listens for the disconnect itself, on the channel that the
    lifeline needs.

    Args:
        frames: Makes the generator of frames.
        stopping: Ends the stream with the server.
    """

    media_type = MEDIA_TYPE

    def __init__(self, frames: Frames, stopping: Stopping) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames until the generator or the lifeline ends."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async with Lifeline(receive, self._stopping) as lifeline:
            await _send_part(send, RETRY)
            async with aclosing(self._frames(lifeline)) as frames:
                async for part in frames:
                    await _send_part(send, part)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_part(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})

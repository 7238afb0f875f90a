"""When a long request ends: its client went away, or the server is about to stop.

Streams and long polls wait only through a `Lifeline`. uvicorn waits for open responses before it
stops, for ever if need be, so `Stopping.begin` ends every wait first. Only waiting is interrupted,
never a transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Protocol, Self

import anyio
from starlette.types import Receive


class Waiter(Protocol):
    """What `Store.wakeups.subscribe` yields."""

    async def wait(self, timeout_s: float) -> bool:
        """Return True when woken, False after `timeout_s`."""
        ...


class Stopping:
    """The server's one switch from serving to stopping; used from the event loop's thread."""

    def __init__(self) -> None:
        self._lifelines: set[Lifeline] = set()
        self._begun = False

    @property
    def begun(self) -> bool:
        """Whether the server is about to end."""
        return self._begun

    @property
    def watching(self) -> int:
        """How many long requests are open."""
        return len(self._lifelines)

    def begin(self) -> None:
        """End every lifeline, now and from now on."""
        self._begun = True
        for lifeline in tuple(self._lifelines):
            lifeline.end()

    def watch(self, lifeline: Lifeline) -> None:
        """End this lifeline too when stopping begins."""
        self._lifelines.add(lifeline)
        if self._begun:
            lifeline.end()

    def forget(self, lifeline: Lifeline) -> None:
        """A lifeline has ended by itself."""
        self._lifelines.discard(lifeline)


class Lifeline:
    """Holds one long request up until its client goes or the server stops.

    Used as an async context manager after the request's body has been read, since it listens for
    the disconnect on the same channel.
    """

    def __init__(self, receive: Receive, stopping: Stopping) -> None:
        self._receive = receive
        self._stopping = stopping
        self._scope: anyio.CancelScope | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the request should come to its end."""
        return self._ended

    def end(self) -> None:
        """Let go, and wake whoever waits."""
        self._ended = True
        if self._scope is not None:
            self._scope.cancel()

    async def wait(self, waiter: Waiter, timeout_s: float) -> bool:
        """Wait until woken or `timeout_s` passed; False means: end.

        A wake-up and a timeout both mean "look again", so they are not told apart.
        """
        if self._ended:
            return False
        with anyio.CancelScope() as self._scope:
            await waiter.wait(timeout_s)
        self._scope = None
        return not self._ended

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen())
        self._stopping.watch(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.forget(self)
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.end()

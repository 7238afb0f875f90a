"""The wires between workers, clients and the server: slow, lossy, cut in one direction or both.

A call travels as its encoded message, is carried out in the server's process and answered the same
way; on each way it may be lost, and the request may arrive twice. The network knows nothing of what
it carries.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gyoza.worker.server_port import ServerAway
from tests.simulation.virtual_loop import PROCESS, Process, VirtualClock, VirtualLoop

T = TypeVar("T")
Handler = Callable[[], Coroutine[Any, Any, T]]


@dataclass(slots=True)
class Link:
    """One endpoint's way to the server and back.

    Attributes:
        cut_to: Requests do not arrive.
        cut_from: Answers do not arrive.
        loss: Share of requests, and of answers, that vanish.
        repeats: Share of requests that arrive twice.
        slowness: Multiplies the latency.
    """

    name: str
    cut_to: bool = False
    cut_from: bool = False
    loss: float = 0.0
    repeats: float = 0.0
    slowness: float = 1.0
    losses: dict[str, int] = field(default_factory=dict[str, int])


class Network:
    """Carries calls to whichever process is the server at the moment.

    Attributes:
        server: None while nobody listens.
    """

    def __init__(self, loop: VirtualLoop, clock: VirtualClock, draw: random.Random) -> None:
        self._loop = loop
        self._clock = clock
        self._draw = draw
        self.server: Process | None = None

    async def call(self, link: Link, handler: Handler[T], timeout_s: float) -> T:
        """Have the server carry out `handler` and bring its answer back.

        Raises:
            ServerAway: No answer came in time, or nobody listens.
        """
        caller = PROCESS.get()
        given_up_at = self._clock.monotonic() + timeout_s
        await self._travel(link)
        server = self.server
        if link.cut_to or self._is_lost(link, "to"):
            await self._silence(given_up_at)
        if server is None or not server.is_alive:
            raise ServerAway("connection refused")
        work = self._begin(server, handler, caller, link)
        if self._draw.random() < link.repeats:
            server.spawn(self._again(handler))
        try:
            answer = await self._answer_of(work, server, given_up_at)
        finally:
            # The connection is closed; the server notices unless the wire is cut.
            if not (work.done() or link.cut_to):
                work.cancel()
        await self._travel(link)
        if link.cut_from or self._is_lost(link, "from"):
            await self._silence(given_up_at)
        return answer

    def _begin(
        self, server: Process, handler: Handler[T], caller: Process | None, link: Link
    ) -> asyncio.Task[T]:
        work = server.spawn(handler())
        # An error nobody fetches because its caller died is nobody's news.
        work.add_done_callback(lambda done: done.cancelled() or done.exception())

        def hang_up() -> None:
            if not link.cut_to:
                work.cancel()

        if caller is not None:
            caller.on_death.append(hang_up)
            work.add_done_callback(lambda _: _remove(caller.on_death, hang_up))
        return work

    async def _answer_of(self, work: asyncio.Task[T], server: Process, given_up_at: float) -> T:
        reset = self._loop.create_future()

        def on_death() -> None:
            if not reset.done():
                reset.set_result(None)

        server.on_death.append(on_death)
        try:
            left_s = max(0.0, given_up_at - self._clock.monotonic())
            waits: tuple[asyncio.Future[Any], ...] = (work, reset)
            await asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            _remove(server.on_death, on_death)
        if work.done() and not work.cancelled():
            return work.result()
        raise ServerAway("connection reset" if reset.done() else "no answer in time")

    async def _again(self, handler: Handler[T]) -> None:
        await self._clock.sleep(self._draw.uniform(0.0, 3.0))
        try:
            await handler()
        except Exception:  # noqa: BLE001 - the copy's answer reaches nobody
            return

    async def _travel(self, link: Link) -> None:
        await self._clock.sleep(self._draw.uniform(0.0005, 0.004) * link.slowness)

    async def _silence(self, given_up_at: float) -> None:
        await self._clock.sleep(given_up_at - self._clock.monotonic())
        raise ServerAway("no answer in time")

    def _is_lost(self, link: Link, way: str) -> bool:
        is_lost = self._draw.random() < link.loss
        if is_lost:
            link.losses[way] = link.losses.get(way, 0) + 1
        return is_lost


def _remove(things: list[Callable[[], None]], thing: Callable[[], None]) -> None:
    if thing in things:
        things.remove(thing)

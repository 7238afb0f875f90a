"""A host's container engine: the scripted runtime, outliving the worker that uses it.

It can hang, restart with or without its containers, and lose answers of what it did. What really
happened to containers is written down here, with the cause of every death.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import Script
from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    EngineTimeout,
    EngineUnavailable,
    ImageInfo,
    LogChunk,
    ManagedContainer,
    PullProgress,
    RuntimeFault,
)
from tests.simulation.recording import Recorder
from tests.simulation.virtual_loop import Process, VirtualClock, VirtualLoop

T = TypeVar("T")
LABEL: Final = "org.gyoza."
ENGINE: Final = EngineInfo(
    engine_id="sim", version="1", api_version="1", cpus=64, memory_mb=262_144, cgroup_version="2"
)
TIMEOUTS: Final[Mapping[str, float]] = {"fingerprint": 5.0, "inspect": 5.0, "find_image": 5.0}
TIMEOUT_S: Final = 30.0


class SimEngine:
    """One engine and its containers.

    Args:
        host: Whose, for the records.
        loop, clock, recorder, draw: The world's.
        scripts: What each image does.

    Attributes:
        is_hung: No call is answered.
        is_down: No call is taken.
        answer_loss: Share of creates and starts that are done but answered by a timeout.
    """

    def __init__(
        self,
        host: str,
        loop: VirtualLoop,
        clock: VirtualClock,
        recorder: Recorder,
        draw: random.Random,
        scripts: Mapping[str, Script],
    ) -> None:
        self.host = host
        self.clock = clock
        self.runtime = FakeRuntime(clock, scripts, engine=ENGINE)
        self.is_hung = self.is_down = False
        self.answer_loss = 0.0
        self._draw = draw
        self._recorder = recorder
        self._process = Process(f"engine of {host}", loop)
        self._changed = asyncio.Event()
        self._restarts = 0
        self._broken: list[asyncio.Future[None]] = []
        self._causes: dict[str, str] = {}
        self._labels: dict[str, dict[str, str]] = {}

    def hang(self) -> None:
        """SIGSTOP of the daemon: containers run on."""
        self.is_hung = True

    def recover(self) -> None:
        """The daemon answers again, what it was asked meanwhile first."""
        self.is_hung = self.is_down = False
        self._changed.set()
        self._changed.clear()

    async def go_down(self, *, keeps_containers: bool) -> None:
        """The daemon ends, with live-restore or without; connections break."""
        self.is_down = True
        self._restarts += 1
        broken, self._broken = self._broken, []
        for each in broken:
            if not each.done():
                each.set_result(None)
        if not keeps_containers:
            for each in await self.runtime.list_managed({}):
                self._causes.setdefault(each.handle.id, "engine")
                # Not by a signal that the engine was asked for: nobody asked.
                self.runtime._get(each.handle).end_by_signal(137)  # noqa: SLF001

    async def end(self, handle: ContainerHandle, cause: str) -> None:
        """SIGKILL of a container from outside."""
        self._causes.setdefault(handle.id, cause)
        await self.runtime.kill(handle)

    async def left(self) -> list[dict[str, Any]]:
        """The containers on the host, for the last look."""
        return [
            {"host": self.host, "name": each.handle.name, **_named(each.labels)}
            for each in await self.runtime.list_managed({})
        ]

    async def ask(self, verb: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Carry out one request in the engine's own process, with its faults."""
        await self.clock.sleep(self._draw.uniform(0.001, 0.02))
        await self._be_reachable(TIMEOUTS.get(verb, TIMEOUT_S))
        task = self._process.spawn(work())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        answer = await asyncio.shield(task)
        if verb in {"create", "start"} and self._draw.random() < self.answer_loss:
            self._recorder.note("fault", fault="engine answer lost", target=self.host, verb=verb)
            await self.clock.sleep(TIMEOUT_S)
            raise EngineTimeout(f"{verb} was not answered in {TIMEOUT_S:g} s")
        return answer

    async def until_broken(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Carry out what lasts; it ends with an error when the engine goes down meanwhile."""
        await self._be_reachable(TIMEOUT_S)
        broken = asyncio.get_running_loop().create_future()
        self._broken.append(broken)
        task = asyncio.ensure_future(work())
        try:
            await asyncio.wait((task, broken), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                if self.is_hung:
                    await self._be_reachable(float("inf"))
                return task.result()
            raise EngineUnavailable("the engine closed the connection")
        finally:
            task.cancel()
            if broken in self._broken:
                self._broken.remove(broken)

    async def fingerprint(self) -> EngineInfo:
        """Who answers; a restarted daemon is another process."""
        return replace(await self.runtime.fingerprint(), process=f"{self.host} {self._restarts}")

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """Create, and write down what is new."""
        known = {each.handle.id for each in await self.runtime.list_managed({})}
        handle = await self.runtime.create(spec)
        if handle.id not in known:
            self._labels[handle.id] = dict(spec.labels)
            self._note("create", handle)
        return handle

    async def start(self, handle: ContainerHandle) -> None:
        """Start, write it down, and stay to see the end."""
        before = await self.runtime.inspect(handle)
        await self.runtime.start(handle)
        if before.started_at is None:
            self._note("start", handle)
            self._process.spawn(self._see_the_end(handle))

    async def stop(self, handle: ContainerHandle, signal: str) -> None:
        """A signal from the worker."""
        self._causes.setdefault(handle.id, "worker")
        await self.runtime.signal(handle, signal)
        if (await self.runtime.inspect(handle)).status == "running":
            del self._causes[handle.id]

    async def remove(self, handle: ContainerHandle, cause: str = "worker") -> None:
        """Remove; what runs is killed by it."""
        self._causes.setdefault(handle.id, cause)
        await self.runtime.remove(handle)
        if handle.id in self._labels:
            self._note("remove", handle)

    async def _see_the_end(self, handle: ContainerHandle) -> None:
        try:
            state = await self.runtime.wait(handle)
        except RuntimeFault:
            state = ContainerState("exited", exit_code=137)
        cause = self._causes.get(handle.id, "self")
        self._note("die", handle, exit_code=state.exit_code, oom=state.oom_killed, cause=cause)

    async def _be_reachable(self, patience_s: float) -> None:
        if self.is_down:
            raise EngineUnavailable("cannot connect to the engine")
        if not self.is_hung:
            return
        given_up_at = self.clock.monotonic() + patience_s
        while self.is_hung:
            left_s = given_up_at - self.clock.monotonic()
            if left_s <= 0:
                raise EngineTimeout(f"the engine did not answer in {patience_s:g} s")
            try:
                async with asyncio.timeout(None if left_s == float("inf") else left_s):
                    await self._changed.wait()
            except TimeoutError:
                continue
        if self.is_down:
            raise EngineUnavailable("the engine closed the connection")

    def _note(self, what: str, handle: ContainerHandle, **facts: Any) -> None:
        labels = _named(self._labels[handle.id])
        self._recorder.note(
            "container", what=what, host=self.host, name=handle.name, **labels, **facts
        )


class EnginePort:
    """The engine as one worker process sees it: `ContainerRuntime` over a socket."""

    def __init__(self, engine: SimEngine) -> None:
        self._engine = engine
        self._runtime = engine.runtime

    async def fingerprint(self) -> EngineInfo:
        return await self._engine.ask("fingerprint", self._engine.fingerprint)

    async def find_image(self, ref: str) -> ImageInfo | None:
        return await self._engine.ask("find_image", lambda: self._runtime.find_image(ref))

    async def list_images(self, most: int) -> list[str]:
        return await self._engine.ask("list_images", lambda: self._runtime.list_images(most))

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        return await self._engine.until_broken(lambda: self._runtime.pull(ref, on_progress))

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        return await self._engine.ask("create", lambda: self._engine.create(spec))

    async def start(self, handle: ContainerHandle) -> None:
        await self._engine.ask("start", lambda: self._engine.start(handle))

    async def wait(self, handle: ContainerHandle) -> ContainerState:
        return await self._engine.until_broken(lambda: self._runtime.wait(handle))

    async def inspect(self, handle: ContainerHandle) -> ContainerState:
        return await self._engine.ask("inspect", lambda: self._runtime.inspect(handle))

    async def signals_seen(self, handle: ContainerHandle, state: ContainerState) -> frozenset[int]:
        return await self._engine.ask(
            "signals_seen", lambda: self._runtime.signals_seen(handle, state)
        )

    async def signal(self, handle: ContainerHandle, signal: str) -> None:
        await self._engine.ask("signal", lambda: self._engine.stop(handle, signal))

    async def kill(self, handle: ContainerHandle) -> None:
        await self._engine.ask("kill", lambda: self._engine.end(handle, "worker"))

    async def logs(
        self, handle: ContainerHandle, after: Any = None
    ) -> AsyncGenerator[LogChunk, None]:
        chunks = self._runtime.logs(handle, after)
        try:
            while True:
                yield await self._engine.until_broken(lambda: _next(chunks))
        except _EndOfLog:
            return
        finally:
            await chunks.aclose()

    async def remove(self, handle: ContainerHandle) -> None:
        await self._engine.ask("remove", lambda: self._engine.remove(handle))

    async def list_managed(self, labels: Mapping[str, str]) -> list[ManagedContainer]:
        return await self._engine.ask("list", lambda: self._runtime.list_managed(labels))

    async def close(self) -> None: ...


class _EndOfLog(Exception):
    """A task cannot end with StopAsyncIteration."""


async def _next(chunks: AsyncGenerator[LogChunk, None]) -> LogChunk:
    try:
        return await anext(chunks)
    except StopAsyncIteration:
        raise _EndOfLog from None


def _named(labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "run": labels.get(f"{LABEL}run", ""),
        "attempt": int(labels.get(f"{LABEL}attempt", 0)),
        "fence": int(labels.get(f"{LABEL}fence", 0)),
        "worker": labels.get(f"{LABEL}worker", ""),
    }

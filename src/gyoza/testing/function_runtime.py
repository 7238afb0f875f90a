"""Functions of this process in the place of containers: an image is the name of a function.

Each runs in a thread, through `gyoza.op`'s own way of reading inputs and writing outputs. One at a
time, since an op finds its run by the process that it is in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, final

from gyoza.op import protocol
from gyoza.op.cancellation import Cancellation
from gyoza.op.context import read_context
from gyoza.op.runtime import Folders
from gyoza.op.spec import derive
from gyoza.testing.in_process import carry_out
from gyoza.testing.process_runtime import NOT_ISOLATED
from gyoza.worker.clock import Clock
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    ImageInfo,
    ImageNotFound,
    LogChunk,
    LogPosition,
    ManagedContainer,
    PullProgress,
)


@final
class FunctionRuntime:
    """`ContainerRuntime` over functions.

    Args:
        clock: For the times of start and end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._functions: dict[str, Callable[..., Any]] = {}
        self._made: dict[str, _Made] = {}
        self._turn = asyncio.Lock()

    def add(self, image: str, function: Callable[..., Any]) -> None:
        """Let an image name a function."""
        self._functions[image] = function

    async def fingerprint(self) -> EngineInfo:
        """See `ContainerRuntime.fingerprint`."""
        return EngineInfo(
            engine_id="functions",
            version="",
            api_version="",
            cpus=1,
            memory_mb=0,
            cgroup_version="",
            capabilities=NOT_ISOLATED,
        )

    async def find_image(self, ref: str) -> ImageInfo | None:
        """See `ContainerRuntime.find_image`."""
        return ImageInfo(ref, None, 0) if ref in self._functions else None

    async def list_images(self, most: int) -> list[str]:
        """See `ContainerRuntime.list_images`."""
        return sorted(self._functions)[:most]

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """See `ContainerRuntime.pull`; what was not deployed is nowhere."""
        raise ImageNotFound(f"{ref} is no function of this test; gyoza_client.deploy(op) makes one")

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """See `ContainerRuntime.create`."""
        handle = ContainerHandle(spec.name, spec.name)
        self._made.setdefault(handle.id, _Made(handle, spec))
        return handle

    async def start(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.start`."""
        made = self._get(handle)
        if made.running is None:
            made.started_at = self._clock.now()
            made.running = asyncio.create_task(self._run(made))

    async def wait(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.wait`."""
        made = self._get(handle)
        await made.ended.wait()
        return made.state

    async def inspect(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.inspect`."""
        return self._get(handle).state

    async def signals_seen(self, handle: ContainerHandle, state: ContainerState) -> frozenset[int]:
        """See `ContainerRuntime.signals_seen`; nobody else can send any."""
        return frozenset()

    async def signal(self, handle: ContainerHandle, signal: str) -> None:
        """See `ContainerRuntime.signal`; an op meets it where it tells of progress or asks."""
        self._get(handle).cancellation.request()

    async def kill(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.kill`; a thread cannot be killed, so its end is not awaited."""
        made = self._get(handle)
        made.cancellation.request()
        made.finish(_KILLED, "", self._clock.now())

    async def logs(
        self, handle: ContainerHandle, after: LogPosition | None = None
    ) -> AsyncGenerator[LogChunk, None]:
        """See `ContainerRuntime.logs`; they come at the end, whole."""
        made = self._get(handle)
        await made.ended.wait()
        if made.logs:
            yield LogChunk("stdout", made.logs.encode())

    async def remove(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.remove`."""
        self._made.pop(handle.id, None)

    async def list_managed(self, labels: Mapping[str, str]) -> list[ManagedContainer]:
        """See `ContainerRuntime.list_managed`."""
        return [
            ManagedContainer(made.handle, made.spec.labels, made.state)
            for made in self._made.values()
            if labels.items() <= made.spec.labels.items()
        ]

    async def close(self) -> None:
        """See `ContainerRuntime.close`."""

    async def _run(self, made: _Made) -> None:
        function = self._functions[made.spec.image]
        async with self._turn:
            code, logs = await asyncio.to_thread(_call, function, made)
        made.finish(code, logs, self._clock.now())

    def _get(self, handle: ContainerHandle) -> _Made:
        made = self._made.get(handle.id)
        if made is None:
            raise ContainerGone(f"there is no run {handle.name}")
        return made


_KILLED = 137


@dataclass(slots=True, eq=False)
class _Made:
    """One call of a function, from its description to its end."""

    handle: ContainerHandle
    spec: ContainerSpec
    cancellation: Cancellation = field(default_factory=Cancellation)
    running: asyncio.Task[None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    exit_code: int | None = None
    logs: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def state(self) -> ContainerState:
        if self.running is None:
            return ContainerState("created")
        if self.exit_code is None:
            return ContainerState("running", started_at=self.started_at)
        return ContainerState(
            "exited", self.exit_code, started_at=self.started_at, finished_at=self.finished_at
        )

    def finish(self, code: int, logs: str, now: datetime) -> None:
        """Take the end; the first counts."""
        if self.exit_code is None:
            self.exit_code, self.logs, self.finished_at = code, logs, now
            self.ended.set()


def _call(function: Callable[..., Any], made: _Made) -> tuple[int, str]:
    inside = f"{protocol.DIR}/{protocol.IN}"
    source = next(mount.source for mount in made.spec.mounts if mount.target == inside)
    root = Path(source).parent
    folders = Folders(root / protocol.IN, root / protocol.OUT)
    ended = carry_out(derive(function), folders, read_context(folders.inner, made.cancellation))
    return ended.exit_code, ended.logs

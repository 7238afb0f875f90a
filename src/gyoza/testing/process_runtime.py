"""Processes of this machine in the place of containers: the author's interpreter, and no isolation.

It lets the worker's pipeline carry out an op without an engine. What only a container gives (limits
on memory, a read-only root, no network) is not there, and the capabilities say so.
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, final

from gyoza.op import protocol
from gyoza.worker.clock import Clock
from gyoza.worker.runtime.interface import (
    Capabilities,
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
    StartFailed,
    StreamName,
)
from gyoza.worker.waiting import end

NOT_ISOLATED: Final = Capabilities(
    pull=False, network_disabled=False, memory_limit=False, pids_limit=False, reattach=False
)
_PIECE: Final = 16 * 1024
_SIGNALLED: Final = 128
_LOOK_S: Final = 0.01
_LAST_WORDS_S: Final = 1.0
# What a container gets for its isolation would only take the author's own things away.
_LEFT_OUT: Final = (protocol.ENV_HOME,)


@final
class ProcessRuntime:
    """`ContainerRuntime` over processes.

    Args:
        command: Program and arguments, in place of every image's own.
        folder: Where it runs.
        environment: Its variables; those of the attempt go over them.
        clock: For the times of start and end.
    """

    def __init__(
        self, command: tuple[str, ...], folder: Path, environment: Mapping[str, str], clock: Clock
    ) -> None:
        self._command = command
        self._folder = folder
        self._environment = environment
        self._clock = clock
        self._made: dict[str, _Made] = {}

    async def fingerprint(self) -> EngineInfo:
        """See `ContainerRuntime.fingerprint`."""
        return EngineInfo(
            engine_id="process",
            version="",
            api_version="",
            cpus=os.cpu_count() or 1,
            memory_mb=0,
            cgroup_version="",
            capabilities=NOT_ISOLATED,
        )

    async def find_image(self, ref: str) -> ImageInfo | None:
        """See `ContainerRuntime.find_image`; the command stands for every image."""
        return ImageInfo(id="process", repo_digest=None, size_bytes=0)

    async def list_images(self, most: int) -> list[str]:
        """See `ContainerRuntime.list_images`; there are none."""
        del most
        return []

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """See `ContainerRuntime.pull`; there is nothing to pull."""
        raise ImageNotFound(f"{ref} cannot be pulled: this runtime starts processes, no images")

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """See `ContainerRuntime.create`."""
        handle = ContainerHandle(spec.name, spec.name)
        self._made.setdefault(handle.id, _Made(handle, spec))
        return handle

    async def start(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.start`."""
        made = self._get(handle)
        if made.process is not None:
            return
        try:
            made.process = await asyncio.create_subprocess_exec(
                *(made.spec.command or self._command),
                cwd=self._folder,
                env={**self._environment, **_variables(made.spec)},
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                # A group of its own: Ctrl-C at the terminal is ours to pass on, and at the end the
                # op's own children go with it, as those of a container do.
                start_new_session=True,
            )
        except OSError as error:
            raise StartFailed(f"{self._command[0]} cannot be started: {error.strerror}") from error
        made.started_at = self._clock.now()
        made.read()

    async def wait(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.wait`."""
        made = self._get(handle)
        if made.process is None:
            raise ContainerGone(f"{handle.name} was never started")
        # Not `Process.wait`: from Python 3.11 on that waits for the streams as well, which children
        # of the op may hold open for ever.
        while made.process.returncode is None:
            await self._clock.sleep(_LOOK_S)
        if made.finished_at is None:
            made.finished_at = self._clock.now()
        made.send(signals.SIGKILL, group=True)
        return made.state

    async def inspect(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.inspect`."""
        return self._get(handle).state

    async def signals_seen(self, handle: ContainerHandle, state: ContainerState) -> frozenset[int]:
        """See `ContainerRuntime.signals_seen`."""
        made = self._made.get(handle.id)
        return frozenset(made.sent) if made is not None else frozenset()

    async def signal(self, handle: ContainerHandle, signal: str) -> None:
        """See `ContainerRuntime.signal`."""
        made, number = self._get(handle), signals.Signals[signal]
        made.sent.add(number)
        made.send(number, group=False)

    async def kill(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.kill`."""
        made = self._get(handle)
        made.sent.add(signals.SIGKILL)
        made.send(signals.SIGKILL, group=True)

    async def logs(
        self, handle: ContainerHandle, after: LogPosition | None = None
    ) -> AsyncGenerator[LogChunk, None]:
        """See `ContainerRuntime.logs`; read once, since such a stream does not break."""
        made = self._get(handle)
        open_streams = len(made.reading)
        while open_streams:
            chunk = await made.written.get()
            if chunk is None:
                open_streams -= 1
            else:
                yield chunk

    async def remove(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.remove`."""
        made = self._made.pop(handle.id, None)
        if made is None or made.process is None:
            return
        made.send(signals.SIGKILL, group=True)
        while made.process.returncode is None:
            await self._clock.sleep(_LOOK_S)
        # Whoever left the group may still hold the streams; what it writes is of no interest.
        await asyncio.wait(made.reading, timeout=_LAST_WORDS_S)
        await end(*made.reading)

    async def list_managed(self, labels: Mapping[str, str]) -> list[ManagedContainer]:
        """See `ContainerRuntime.list_managed`."""
        return [
            ManagedContainer(made.handle, made.spec.labels, made.state)
            for made in self._made.values()
            if labels.items() <= made.spec.labels.items()
        ]

    async def close(self) -> None:
        """See `ContainerRuntime.close`."""

    def _get(self, handle: ContainerHandle) -> _Made:
        made = self._made.get(handle.id)
        if made is None:
            raise ContainerGone(f"there is no process {handle.name}")
        return made


@dataclass(slots=True, eq=False)
class _Made:
    """One process, from its description to its end."""

    handle: ContainerHandle
    spec: ContainerSpec
    process: Process | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sent: set[int] = field(default_factory=set[int])
    reading: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])
    written: asyncio.Queue[LogChunk | None] = field(
        default_factory=lambda: asyncio.Queue[LogChunk | None](256)
    )

    @property
    def state(self) -> ContainerState:
        code = None if self.process is None else self.process.returncode
        if self.process is None:
            return ContainerState("created")
        if code is None:
            return ContainerState("running", started_at=self.started_at)
        exit_code = code if code >= 0 else _SIGNALLED - code
        return ContainerState(
            "exited", exit_code, started_at=self.started_at, finished_at=self.finished_at
        )

    def read(self) -> None:
        """Begin to read both streams."""
        assert self.process is not None  # noqa: S101 - called by `start` alone
        streams: tuple[tuple[StreamName, asyncio.StreamReader | None], ...] = (
            ("stdout", self.process.stdout),
            ("stderr", self.process.stderr),
        )
        self.reading = [
            asyncio.create_task(self._read(name, stream))
            for name, stream in streams
            if stream is not None
        ]

    async def _read(self, name: StreamName, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(_PIECE):
            await self.written.put(LogChunk(name, data))
        await self.written.put(None)

    def send(self, number: int, *, group: bool) -> None:
        """Send a signal to the process, or to all that it started; nothing if there is none."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            if group:
                os.killpg(self.process.pid, number)
            elif self.process.returncode is None:
                self.process.send_signal(number)


def _variables(spec: ContainerSpec) -> dict[str, str]:
    """The attempt's variables, with the folders where they really are."""
    inside = f"{protocol.DIR}/{protocol.IN}"
    found = {name: value for name, value in spec.env.items() if name not in _LEFT_OUT}
    for mount in spec.mounts:
        if mount.target == inside:
            found[protocol.ENV_DIR] = str(Path(mount.source).parent)
    return found

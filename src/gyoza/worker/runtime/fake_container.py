"""One scripted container's life: created, started, played on a clock, ended, removed.

Knows nothing of names, images or other containers; `fake` keeps those.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from gyoza.worker.clock import Clock
from gyoza.worker.runtime.fake_script import Append, Say, Script
from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    LogChunk,
    StartFailed,
)

EXIT_SIGKILL: Final = 137


class ScriptedContainer:
    """One container's life: its script played, its log kept, whoever waits for news told."""

    __slots__ = (
        "_clock",
        "_play",
        "_waiting",
        "handle",
        "is_removed",
        "log",
        "script",
        "spec",
        "state",
    )

    def __init__(
        self, handle: ContainerHandle, spec: ContainerSpec, script: Script, clock: Clock
    ) -> None:
        self.handle = handle
        self.spec = spec
        self.script = script
        self.state = ContainerState("created")
        self.log: list[LogChunk] = []
        self.is_removed = False
        self._clock = clock
        self._play: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def start(self) -> None:
        """Begin the script; one that takes no time is over when this returns.

        Raises:
            StartFailed: The script says so.
        """
        if self.state.status == "running":
            return
        if self.script.fails_to_start:
            self.state = replace(self.state, error=self.script.fails_to_start)
            self._tell()
            raise StartFailed(
                f"could not start container {self.handle.name}: {self.script.fails_to_start}",
                detail=self.script.fails_to_start,
            )
        self.state = ContainerState("running", started_at=self._clock.now())
        if self.script.takes_no_time:
            self._do(self.script.steps)
            self._end()
        else:
            self._play = asyncio.get_running_loop().create_task(self._played())

    async def news(self) -> None:
        """Wait until the log has grown, or the state has changed."""
        told = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        await told

    def end_by_signal(self, exit_code: int) -> None:
        """Break the script off, if it runs; what it writes at its end stays unwritten."""
        if self.state.status == "running":
            self._stop_playing()
            self._close(exit_code, oom_killed=False)

    def remove(self) -> None:
        """Break the script off for good, and let go of everyone who follows."""
        self.is_removed = True
        self._stop_playing()
        self._tell()

    async def _played(self) -> None:
        for step in self.script.steps:
            await self._clock.sleep(step.after_s)
            self._do((step,))
        await self._clock.sleep(self.script.duration_s)
        self._end()

    def _do(self, steps: Iterable[Say | Append]) -> None:
        for step in steps:
            if isinstance(step, Say):
                self.log.append(LogChunk(step.stream, step.data, self._next_ns()))
                self._tell()
            else:
                self._write(step.path, step.data, "ab")

    def _next_ns(self) -> int:
        # Strictly growing, as two lines of one real container practically are.
        now_ns = _nanoseconds(self._clock.now())
        last_ns = self.log[-1].t_ns if self.log else None
        return now_ns if last_ns is None else max(now_ns, last_ns + 1)

    def _end(self) -> None:
        for name, data in self.script.writes.items():
            self._write(name, data, "wb")
        exit_code = self._exit_code()
        self._close(EXIT_SIGKILL if self.script.oom else exit_code, oom_killed=self.script.oom)

    def _exit_code(self) -> int:
        if self.script.on_run is None:
            return self.script.exit_code
        try:
            return self.script.on_run(self._folder("in"), self._folder("out"))
        except Exception:  # noqa: BLE001 - the program crashed: a traceback and exit code 1
            self._do((Say(traceback.format_exc().encode(), "stderr"),))
            return 1

    def _write(self, name: str, data: bytes, mode: Literal["ab", "wb"]) -> None:
        folder = self._folder("out")
        if folder is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode) as file:
                file.write(data)

    def _folder(self, name: str) -> Path | None:
        wanted = PurePosixPath(self.spec.env.get("GYOZA_DIR", "/gyoza"), name)
        for mount in self.spec.mounts:
            if PurePosixPath(mount.target) == wanted:
                return Path(mount.source)
        return None

    def _close(self, exit_code: int, *, oom_killed: bool) -> None:
        self.state = ContainerState(
            "exited",
            exit_code=exit_code,
            oom_killed=oom_killed,
            started_at=self.state.started_at,
            finished_at=self._clock.now(),
        )
        self._tell()

    def _stop_playing(self) -> None:
        if self._play is not None:
            self._play.cancel()
            self._play = None

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.done():
                told.set_result(None)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000

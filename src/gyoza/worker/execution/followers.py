"""What is done beside a running container: its output read on, its events, its use of the disk.

Each is a task of its own that may fail or lag without harm to the others. Waiting for the end, and
bringing it about, is done in `stages.follow_output`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from gyoza.worker import hostile_files
from gyoza.worker.event_lines import EventsFile, Lines
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.outputs import over_limit_message
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.stop import StopKind, StopOrder
from gyoza.worker.logs import LogIntake, Piece
from gyoza.worker.op_events import OpEvent, OpEvents
from gyoza.worker.runtime.interface import ContainerGone, RuntimeFault
from gyoza.worker.waiting import ignoring_cancellation

EVENTS_EVERY_S: Final = 0.25
DISK_EVERY_S: Final = 1.0
_EVENT_BYTES: Final = 256 * 1024
_EVENT_LOOKS: Final = 4
_EVENT_LOOKS_AT_END: Final = 32
_CHUNKS_BETWEEN_TURNS: Final = 64
_LOG_RETRY_S: Final = 0.5
_MIB: Final = 1024 * 1024
_log = structlog.stdlib.get_logger(__name__)


class LogFollower:
    """Reads a container's output as it comes, and passes on what is worth keeping."""

    def __init__(self, context: ExecutionContext, services: Services) -> None:
        self._context = context
        self._services = services
        self._intake = LogIntake(services.clock.monotonic())
        self._since_ns: int | None = None

    async def follow(self) -> None:
        """Read to the end; a stream that breaks is taken up again."""
        while True:
            try:
                await self._read()
            except ContainerGone:
                return
            except RuntimeFault as fault:
                _log.info("log stream broke", run=self._context.oprun_id, why=str(fault))
                await self._services.clock.sleep(_LOG_RETRY_S)
            else:
                return

    def finish(self, *, is_whole: bool) -> None:
        """Pass on the last words.

        Args:
            is_whole: `follow` has come to the end by itself.
        """
        self._emit(self._intake.finish(self._services.clock.monotonic()))
        if not is_whole:
            self._emit([Piece("system", "[gyoza: the rest of the output was not read]\n")])
        self._context.logs[:] = self._intake.tail.splitlines(keepends=True)

    async def _read(self) -> None:
        clock, runtime = self._services.clock, self._services.runtime
        async with aclosing(runtime.logs(self._context.container, self._since_ns)) as chunks:
            count = 0
            async for chunk in chunks:
                self._since_ns = chunk.t_ns or self._since_ns
                self._emit(self._intake.take(chunk.stream, chunk.data, clock.monotonic()))
                count += 1
                if count % _CHUNKS_BETWEEN_TURNS == 0:
                    # A flood is read more slowly: it is dropped anyway, and others want turns too.
                    await clock.sleep(0.002 if self._intake.is_dropping else 0)

    def _emit(self, pieces: list[Piece]) -> None:
        for stream, text in pieces:
            self._context.report.log(stream, text)


class EventFollower:
    """Reads an op's `events.jsonl` on, a few times a second."""

    def __init__(self, context: ExecutionContext, services: Services) -> None:
        self._context = context
        self._clock = services.clock
        self._file = EventsFile(context.folder.outer)
        self._events = OpEvents(services.clock.monotonic())

    async def follow(self) -> None:
        """Read until cancelled."""
        while True:
            await self._clock.sleep(EVENTS_EVERY_S)
            # Not to be cut off in between: what was read would be lost, and the thread goes on.
            await ignoring_cancellation(self._pass_on(self._read))

    async def finish(self) -> None:
        """Read the rest and let go of the file; the container is dead, `follow` has ended."""
        await self._pass_on(self._read_rest)

    def close(self) -> None:
        """Let go of the file, whatever was read; may be called twice."""
        self._file.close()

    async def _pass_on(self, read: Callable[[], list[OpEvent]]) -> None:
        # Parsed in the thread, too: an op may write lines faster than anyone can read them.
        for event in await asyncio.to_thread(read):
            self._context.report.event(event.type, event.msg, event.payload)

    def _read(self, looks: int = _EVENT_LOOKS) -> list[OpEvent]:
        # Little at a time: a short line costs twenty times its size in memory.
        return [event for _ in range(looks) for event in self._taken(self._file.read(_EVENT_BYTES))]

    def _read_rest(self) -> list[OpEvent]:
        found = self._read(_EVENT_LOOKS_AT_END)
        return [*found, *self._taken(self._file.finish(0)), *self._events.finish()]

    def _taken(self, lines: Lines) -> list[OpEvent]:
        notes = [OpEvent("ERROR", note) for note in lines.notes]
        return [*self._events.take(lines.lines, self._clock.monotonic()), *notes]


async def watch_disk(context: ExecutionContext, services: Services) -> None:
    """Order the end once the op has written more than it may; until cancelled."""
    limit_mb = context.settings.disk_mb
    clock = services.clock
    pause_s = DISK_EVERY_S
    while True:
        await clock.sleep(pause_s)
        began_s = clock.monotonic()
        used, problem = await asyncio.to_thread(_usage, context)
        if problem or used > limit_mb * _MIB:
            message = over_limit_message(used, problem, limit_mb)
            context.stop.request(StopOrder(StopKind.DISK_LIMIT, message))
            return
        # A folder of very many files takes long to add up: most of the time is to be the others'.
        pause_s = max(DISK_EVERY_S, 10 * (clock.monotonic() - began_s))


def _usage(context: ExecutionContext) -> tuple[int, str]:
    with hostile_files.opened_folder(context.folder.outer) as folder:
        return hostile_files.disk_usage(folder)

"""What is done beside a running container: its output read on, its events, its use of the disk.

Each is a task of its own that may fail or lag without harm to the others. Waiting for the end, and
bringing it about, is done in `stages.follow_output`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final, NamedTuple

import structlog

from gyoza.op import protocol
from gyoza.worker import hostile_files
from gyoza.worker.cursors import EventMark
from gyoza.worker.event_lines import START, EventsFile, Lines
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.outputs import over_limit_message, shown_part
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
_LATE_FACTOR: Final = 16
_CHUNKS_BETWEEN_TURNS: Final = 64
_LOG_RETRY_S: Final = 0.5
_MIB: Final = 1024 * 1024
_log = structlog.stdlib.get_logger(__name__)


class _Look(NamedTuple):
    """The events of one look at the file, and the place behind them."""

    events: list[OpEvent]
    mark: EventMark


class LogFollower:
    """Reads a container's output as it comes, and passes on what is worth keeping."""

    def __init__(self, context: ExecutionContext, services: Services) -> None:
        self._context = context
        self._services = services
        after = None if context.resumed is None else context.resumed.past.log_mark
        age_s = context.age_s(services.clock.now())
        self._intake = LogIntake(services.clock.monotonic(), after=after, age_s=age_s)

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
        async with aclosing(runtime.logs(self._context.container, self._intake.position)) as chunks:
            count = 0
            async for chunk in chunks:
                self._emit(self._intake.take(chunk, clock.monotonic()))
                count += 1
                if count % _CHUNKS_BETWEEN_TURNS == 0:
                    # A flood is read more slowly: it is dropped anyway, and others want turns too.
                    await clock.sleep(0.002 if self._intake.is_dropping else 0)

    def _emit(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            self._context.report.log(piece)


class EventFollower:
    """Reads an op's `events.jsonl` on, a few times a second."""

    def __init__(self, context: ExecutionContext, services: Services) -> None:
        self._context = context
        self._clock = services.clock
        after = (context.resumed and context.resumed.past.event_mark) or START
        self._file = EventsFile(context.folder.outer, after)
        self._events = OpEvents(
            services.clock.monotonic(),
            taken=after.taken,
            dropped=after.dropped,
            age_s=context.age_s(services.clock.now()),
        )

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

    async def _pass_on(self, read: Callable[[], list[_Look]]) -> None:
        # Parsed in the thread, too: an op may write lines faster than anyone can read them.
        for look in await asyncio.to_thread(read):
            self._report(look)

    def _report(self, look: _Look) -> None:
        # Progress joins whatever is sent next, the rest travels as one: its place is behind it all.
        last = max((n for n, each in enumerate(look.events) if each.type != "PROGRESS"), default=-1)
        for number, event in enumerate(look.events):
            self._context.report.event(
                event.type,
                event.msg,
                event.payload,
                mark=look.mark,
                may_end=number >= last,
            )

    def _read(self, looks: int = _EVENT_LOOKS) -> list[_Look]:
        # Little at a time: a short line costs twenty times its size in memory.
        return [self._taken(self._file.read(_EVENT_BYTES)) for _ in range(looks)]

    def _read_rest(self) -> list[_Look]:
        # Whoever ended without us may have written for hours.
        is_late = self._context.resumed is not None
        found = self._read(_EVENT_LOOKS_AT_END * (_LATE_FACTOR if is_late else 1))
        found.append(self._taken(self._file.finish(0)))
        mark = self._events.finish()
        return [*found, self._look(mark)]

    def _taken(self, lines: Lines) -> _Look:
        events = map(self._shown, self._events.take(lines.lines, self._clock.monotonic()))
        return self._look([*events, *(OpEvent("ERROR", note) for note in lines.notes)])

    def _shown(self, event: OpEvent) -> OpEvent:
        if event.payload.get(protocol.KIND) != protocol.OUTPUT:
            return event
        return replace(event, payload=shown_part(event.payload, self._context.output_specs))

    def _look(self, events: list[OpEvent]) -> _Look:
        mark = replace(self._file.mark, taken=self._events.taken, dropped=self._events.dropped)
        return _Look(events, mark)


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

"""Stages that look at a container while it runs: its memory and its processes.

They stand beside the worker's own in the pipeline of a local attempt and change nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final

from gyoza.testing.cgroups import peak_memory_mb
from gyoza.testing.engine import EngineFacts, EngineUnreachable, Process
from gyoza.testing.zombies import dead_children
from gyoza.worker.clock import Clock
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.waiting import end

_FIRST_S: Final = 0.02
_MOST_S: Final = 0.25


@dataclass(slots=True)
class Measured:
    """What was seen of a container.

    Attributes:
        peak_memory_mb: None when it ended before the first look.
        most_processes: At one look, the engine's own first one included.
        zombies: Programs seen dead and not waited for at two looks in a row.
    """

    peak_memory_mb: float | None = None
    most_processes: int = 0
    zombies: set[str] = field(default_factory=set[str])
    _dead_before: set[int] = field(default_factory=set[int])

    def take_memory(self, used_mb: float | None) -> None:
        """Take the memory of one look."""
        if used_mb is not None:
            self.peak_memory_mb = max(used_mb, self.peak_memory_mb or 0.0)

    def take_processes(self, processes: list[Process]) -> None:
        """Take the processes of one look."""
        self.most_processes = max(self.most_processes, len(processes))
        dead = {each.pid: each.name for each in processes if each.state.startswith("Z")}
        self.zombies |= {name for pid, name in dead.items() if pid in self._dead_before}
        self._dead_before = set(dead)


class Measure:
    """Looks at the container from its start to its end: often at first, then four times a second.

    Args:
        engine: Is asked.
        clock: For the pauses.
        measured: Takes what is seen.
        processes: Whether processes are looked at, too.
    """

    name: ClassVar[str] = "measure"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = False

    def __init__(
        self, engine: EngineFacts, clock: Clock, measured: Measured, *, processes: bool = False
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._measured = measured
        self._processes = processes
        self._looking: asyncio.Future[None] | None = None

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        self._looking = asyncio.ensure_future(self._look(context.container.id))

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`."""
        if self._looking is not None:
            await end(self._looking)

    async def _look(self, container: str) -> None:
        pause_s = _FIRST_S
        # An engine that cannot be asked fails the run by itself; a figure is not worth that.
        with suppress(EngineUnreachable):
            while True:
                self._measured.take_memory(await self._memory_mb(container))
                if self._processes:
                    self._measured.take_processes(await self._processes_of(container))
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _MOST_S)

    async def _processes_of(self, container: str) -> list[Process]:
        alive = await self._engine.processes(container)
        known = {each.pid for each in alive}
        dead = await asyncio.to_thread(dead_children, known)
        return [*alive, *(each for each in dead if each.pid not in known)]

    async def _memory_mb(self, container: str) -> float | None:
        found = peak_memory_mb(container)
        return await self._engine.memory_mb(container) if found is None else found

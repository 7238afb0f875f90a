"""All loops of a server, started and stopped together; the composition root's one door to them."""

from __future__ import annotations

import asyncio

from gyoza.server.clock import Clock
from gyoza.server.loops.collector import Collector
from gyoza.server.loops.dispatcher import Dispatcher
from gyoza.server.loops.loop import Duty, Loop
from gyoza.server.loops.pruner import Pruner
from gyoza.server.loops.rescuer import Rescuer
from gyoza.server.loops.sampler import Sampler
from gyoza.server.loops.settler import Settler
from gyoza.server.storage.artifact_files import ArtifactFiles
from gyoza.server.storage.store import Store
from gyoza.server.use_cases.outside import Outside


class Roster:
    """The loops of one server.

    Args:
        store: Open until after `stop`.
        outside: Settings and jitter.
        clock: The store's.
        files: Artifacts; None where there are none, as in a simulation.
    """

    def __init__(
        self, store: Store, outside: Outside, clock: Clock, files: ArtifactFiles | None = None
    ) -> None:
        settings = outside.settings
        duties: list[Duty] = [
            Dispatcher(store, settings, clock),
            Rescuer(store, outside),
            Pruner(store, settings),
            Sampler(store, settings),
            Settler(store),
        ]
        if files is not None:
            duties.append(Collector(store, files, settings, clock))
        self._loops = [Loop(duty, store.wakeups, clock, outside.random) for duty in duties]

    def start(self) -> None:
        """Start every loop, in the running event loop."""
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """Stop every loop."""
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    def dispatcher_age_s(self) -> float | None:
        """Seconds since the dispatcher last ticked; None before its first tick."""
        return self._loops[0].age_s

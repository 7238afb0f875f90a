"""One seed's world: a server, some hosts, callers and a nemesis, lived through and written down.

The same seed and the same code give the same records, byte for byte. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import gc
import random
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from gyoza.server.settings import Settings
from gyoza.wire.messages import Capacity, Gpu
from tests.simulation.host import Host, Surroundings
from tests.simulation.nemesis import Nemesis
from tests.simulation.network import Network
from tests.simulation.recording import Record, Recorder
from tests.simulation.server import SimServer
from tests.simulation.virtual_loop import VirtualClock, VirtualLoop
from tests.simulation.workload import SCRIPTS, Clients

RUNS: Final = 20
STORM_S: Final = 120.0
# The longest wait that is anybody's right: a lease, the amnesty, backoffs, an engine's and a
# sweeper's patience, and the longest op.
QUIET_WITHIN_S: Final = 900.0
LOOK_EVERY_S: Final = 5.0
NUMBERS: Final = {
    # A third of the production numbers: the same order among them, in a third of the time.
    "heartbeat_interval_s": 3.0,
    "silent_after_s": 9.0,
    "lease_s": 20.0,
    "acknowledge_within_s": 12.0,
    "amnesty_after_gap_s": 6.0,
    "amnesty_s": 30.0,
    "rescue_interval_s": 2.0,
    "pulse_interval_s": 1.5,
    "brake_s": 40.0,
    "machinery_backoff_s": 2.0,
    "max_backoff_s": 20.0,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a world is to be.

    Attributes:
        seed: Decides everything.
        runs: How many runs are submitted.
        has_faults: False lets the nemesis sleep.
        within: Where it has its files while it lives; memory, since every commit waits for them.
    """

    seed: int
    runs: int = RUNS
    has_faults: bool = True
    within: Path = Path("/dev/shm")


def live(plan: Plan) -> list[Record]:
    """Live one world to its end and return what was written down."""
    folder = Path(mkdtemp(dir=plan.within, prefix=f"gyoza-world-{plan.seed}-"))
    loop = VirtualLoop()
    # Nothing is to be finalised at a moment that depends on what else this process has done.
    gc.disable()
    # What was there before a world began is not worth looking through when it ends.
    gc.freeze()
    try:
        return _lived(plan, loop, folder)
    finally:
        _bury(loop)
        gc.enable()
        shutil.rmtree(folder, ignore_errors=True)


def _lived(plan: Plan, loop: VirtualLoop, folder: Path) -> list[Record]:
    world = _World(plan, loop, folder)
    loop.run_until_complete(world.live())
    return world.recorder.records


class _World:
    def __init__(self, plan: Plan, loop: VirtualLoop, folder: Path) -> None:
        self._plan = plan
        self._loop = loop
        self._folder = folder
        self._clock = VirtualClock(loop)
        self.recorder = Recorder(self._clock.now_us)
        self._network = Network(loop, self._clock, self._draw("network"))
        self._settings = Settings(data_dir=folder, **NUMBERS)  # pyright: ignore[reportArgumentType]
        self._server = SimServer(
            loop, self._network, self.recorder, self._settings, self._draw("server")
        )
        self._clients = Clients(
            self._server, self._network, self._clock, self.recorder, self._draw("clients")
        )

    async def live(self) -> None:
        """Everything, first to last."""
        self._note_setup()
        self._server.start()
        process = self._server.process
        assert process is not None
        await process.spawn(self._clients.register_ops())
        hosts = self._hosts()
        nemesis = Nemesis(
            self._server, hosts, self._clients, self._clock, self.recorder, self._draw("nemesis")
        )
        for host in hosts:
            host.start()
        callers = [
            asyncio.ensure_future(self._clients.live(number, STORM_S * 0.8))
            for number in range(self._plan.runs)
        ]
        if self._plan.has_faults:
            await self._storm(nemesis)
        self.recorder.note("phase", phase="healed")
        await self._until_quiet(hosts, callers)
        await self._last_look(hosts)

    async def _storm(self, nemesis: Nemesis) -> None:
        strikes: list[asyncio.Task[None]] = []
        began_s = self._clock.monotonic()
        for at_s, name in nemesis.plan(STORM_S):
            await self._clock.sleep(began_s + at_s - self._clock.monotonic())
            strikes.append(asyncio.ensure_future(nemesis.strike(name)))
        await self._clock.sleep(began_s + STORM_S - self._clock.monotonic())
        for each in strikes:
            each.cancel()
        await asyncio.gather(*strikes, return_exceptions=True)
        broken = [each for each in strikes if not each.cancelled() and each.exception()]
        if broken:
            raise RuntimeError("the nemesis broke") from broken[0].exception()
        nemesis.heal()

    async def _until_quiet(self, hosts: list[Host], callers: list[asyncio.Task[None]]) -> None:
        end_s = self._clock.monotonic() + QUIET_WITHIN_S
        while self._clock.monotonic() < end_s:
            await self._clock.sleep(LOOK_EVERY_S)
            if all(each.done() for each in callers) and await self._is_quiet(hosts):
                break
        for each in callers:
            each.cancel()
        ended = await asyncio.gather(*callers, return_exceptions=True)
        for each in ended:
            if isinstance(each, Exception):
                raise each

    async def _is_quiet(self, hosts: list[Host]) -> bool:
        rows = self._server.dump()
        return (
            all(row["ended_us"] is not None for row in rows["op_runs"])
            and all(row["freed_us"] is not None for row in rows["reservations"])
            and not any(
                left["folders"] or left["unfinished"] or left["containers"]
                for left in [await host.left() for host in hosts]
            )
        )

    async def _last_look(self, hosts: list[Host]) -> None:
        for host in hosts:
            host.is_wanted = False
            self.recorder.note("left", **await host.left())
        self.recorder.note("dump", tables=self._server.dump())
        for complaint in self._loop.complaints:
            self.recorder.note("complaint", text=complaint)

    def _note_setup(self) -> None:
        named = ("lease_s", "machinery_attempts", "amnesty_s", "heartbeat_interval_s")
        numbers = {name: getattr(self._settings, name) for name in named}
        self.recorder.note("setup", seed=self._plan.seed, **numbers)

    def _hosts(self) -> list[Host]:
        around = Surroundings(
            self._loop,
            self._clock,
            self._network,
            self._server,
            self.recorder,
            self._folder,
            SCRIPTS,
        )

        def gpu(index: int, vram_mb: int) -> Gpu:
            return Gpu(uuid=f"GPU-{index}", vram_mb=vram_mb, index=index)

        capacities = [
            Capacity(cpu=4, ram_mb=6000, gpus=[gpu(0, 12_000), gpu(1, 8000)]),
            Capacity(cpu=3, ram_mb=4000),
            Capacity(cpu=2, ram_mb=4000, gpus=[gpu(2, 8000)]),
        ]
        return [
            Host(f"host-{number}", around, capacity, self._draw(f"host {number}"))
            for number, capacity in enumerate(capacities)
        ]

    def _draw(self, whose: str) -> random.Random:
        return random.Random(f"{self._plan.seed}/{whose}")


def _bury(loop: VirtualLoop) -> None:
    """End what is left; what its `finally` still complains of is nobody's news."""
    ignore: Callable[[Any], None] = lambda _: None  # noqa: E731 - a hook that says nothing
    hook, sys.unraisablehook = sys.unraisablehook, ignore
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            loop.bury()
            gc.collect()
    finally:
        sys.unraisablehook = hook

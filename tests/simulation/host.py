"""A machine with an engine and, most of the time, a worker: the production agent in a process.

The state folder and the containers survive the worker; its memory does not. Starting it again
after it ended, was drained or was killed is done here or by the nemesis.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gyoza
from gyoza.models.ids import new_id
from gyoza.wire import strict_json
from gyoza.wire.messages import Capacity, Register
from gyoza.worker.agent import Agent
from gyoza.worker.execution.pipeline import Pipeline
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.workdir import RUNS
from gyoza.worker.gpu import DeclaredGpus
from gyoza.worker.health import Health
from gyoza.worker.identity import Identity, load_identity
from gyoza.worker.journal import Journal
from gyoza.worker.main import stages
from gyoza.worker.runtime.fake_script import Script
from gyoza.worker.runtime.interface import RuntimeFault
from gyoza.worker.server_port import ServerFault
from tests.simulation.engine import EnginePort, SimEngine
from tests.simulation.network import Link, Network
from tests.simulation.recording import Recorder
from tests.simulation.server import SimServer
from tests.simulation.virtual_loop import Process, VirtualClock, VirtualLoop
from tests.simulation.worker_link import WorkerLink

STARTS_AT_ONCE = 4
RESTART_S = 2.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every host of a world shares."""

    loop: VirtualLoop
    clock: VirtualClock
    network: Network
    server: SimServer
    recorder: Recorder
    folder: Path
    scripts: Mapping[str, Script]


class Host:
    """One machine.

    Args:
        name: Of the machine and its worker.
        around: The world.
        capacity: What the worker offers.
        draw: Chance of this machine.
    """

    def __init__(
        self, name: str, around: Surroundings, capacity: Capacity, draw: random.Random
    ) -> None:
        self.name = name
        self.link = Link(name)
        self.engine = SimEngine(
            name, around.loop, around.clock, around.recorder, draw, around.scripts
        )
        self.process: Process | None = None
        self.is_wanted = True
        self._around, self._draw, self._capacity = around, draw, capacity
        self._state_dir = around.folder / name
        self._state_dir.mkdir()
        self._agent: Agent | None = None
        self._journal: Journal | None = None
        self._sessions = 0
        document = {"worker_id": self._worker_id(), "machine_id": name}
        (self._state_dir / "worker.json").write_bytes(strict_json.dumps(document))

    @property
    def is_up(self) -> bool:
        """Whether a worker process is there, frozen or not."""
        return self.process is not None

    def start(self) -> None:
        """Begin a worker process over what the one before left."""
        if self.process is not None:
            return
        self._sessions += 1
        self.process = Process(f"{self.name} {self._sessions}", self._around.loop)
        self._around.recorder.note("worker", what="start", host=self.name)
        self.process.spawn(self._live(self.process))

    def kill(self) -> None:
        """SIGKILL: containers and folders stay."""
        process, journal = self.process, self._journal
        self.process = self._agent = self._journal = None
        if process is not None:
            self._around.recorder.note("worker", what="kill", host=self.name)
            process.kill()
        if journal is not None:
            journal.close()

    def drain(self) -> None:
        """SIGTERM."""
        agent, process = self._agent, self.process
        if agent is not None and process is not None and not process.is_frozen:
            self._around.recorder.note("worker", what="drain", host=self.name)
            process.call(agent.drain)

    async def left(self) -> dict[str, Any]:
        """What is on the machine, for the last look."""
        runs = self._state_dir / RUNS
        folders = sorted(each.name for each in runs.iterdir()) if runs.is_dir() else []
        # From a copy: opening a journal rewrites it, and a live worker goes on with the old one.
        with TemporaryDirectory(dir=self._state_dir.parent) as copy:
            for path in self._state_dir.glob("journal.jsonl"):
                shutil.copy(path, copy)
            journal = Journal(Path(copy))
            unfinished = [
                [each.assignment.run_id, each.assignment.fence] for each in journal.unfinished
            ]
            journal.close()
        return {
            "host": self.name,
            "folders": folders,
            "unfinished": unfinished,
            "containers": await self.engine.left(),
        }

    async def _live(self, process: Process) -> None:
        try:
            agent, services = self._assemble()
        except Exception as error:
            self._ended(process, f"did not start: {error}")
            raise
        self._agent, self._journal = agent, services.journal
        why = "drained"
        try:
            await agent.run()
        except (ServerFault, RuntimeFault) as fault:
            why = f"{type(fault).__name__}: {fault}"
        services.journal.close()
        self._ended(process, why)

    def _ended(self, process: Process, why: str) -> None:
        self._around.recorder.note("worker", what="end", host=self.name, why=why)
        if self.process is process:
            self.process = self._agent = self._journal = None
        if self.is_wanted:
            # A supervisor of the machine, no part of the process that ended.
            loop = self._around.loop
            Process(f"supervisor of {self.name}", loop).call(
                lambda: loop.call_later(RESTART_S, self._start_if_wanted)
            )

    def _start_if_wanted(self) -> None:
        if self.is_wanted:
            self.start()

    def _assemble(self) -> tuple[Agent, Services]:
        around = self._around
        identity = self._identity()
        draw = random.Random(self._draw.getrandbits(64))
        services = Services(
            runtime=EnginePort(self.engine),
            server=WorkerLink(
                around.server, around.network, self.link, around.clock, around.recorder
            ),
            clock=around.clock,
            journal=Journal(self._state_dir),
            identity=identity,
            health=Health(),
            state_dir=self._state_dir,
            container_uid=0,
            container_gid=0,
            starting=asyncio.Semaphore(STARTS_AT_ONCE),
            draw=draw,
            gpus=DeclaredGpus(self._capacity.gpus),
        )
        agent = Agent(
            services,
            Pipeline(stages(services)),
            present=lambda: self._registration(identity),
            draw=draw,
        )
        return agent, services

    def _identity(self) -> Identity:
        found = load_identity(
            self._state_dir, now=self._around.clock.now(), random_bytes=self._draw.randbytes
        )
        # What the machine that simulates is called must not matter to a replay.
        return replace(found, machine_id=self.name, boot_id=f"boot of {self.name}")

    def _registration(self, identity: Identity) -> Register:
        return Register(
            worker_id=identity.worker_id,
            name=self.name,
            session_id=identity.session_id,
            machine_id=identity.machine_id,
            boot_id=identity.boot_id,
            version=gyoza.__version__,
            capacity=self._capacity,
            runtime="fake",
        )

    def _worker_id(self) -> str:
        return new_id("wrk", now=self._around.clock.now(), random_bytes=self._draw.randbytes)

"""A whole worker against a scripted engine and a server in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from gyoza.wire.messages import Assignment, Capacity, Register, Result
from gyoza.worker.agent import Agent
from gyoza.worker.clock import Clock, SystemClock
from gyoza.worker.execution.pipeline import Pipeline
from gyoza.worker.execution.services import Services
from gyoza.worker.gpu import Gpus
from gyoza.worker.health import Health
from gyoza.worker.identity import Identity
from gyoza.worker.journal import Journal
from gyoza.worker.main import stages
from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import PullScript, Script
from gyoza.worker.runtime.interface import ContainerRuntime
from gyoza.worker.server_fake import Attempt, FakeServer

IMAGE = "op:1"
_numbers = count(1)


class FastClock:
    """The machine's clock, so many times faster: an hour's patience is tested in a second."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._real = SystemClock()
        self._start = self._real.now()
        self._start_s = self._real.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (self._real.monotonic() - self._start_s) * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds / self._factor))


def an_assignment(**changes: Any) -> Assignment:
    number = next(_numbers)
    members: dict[str, Any] = {
        "run_id": f"run_{number:026d}",
        "attempt": 1,
        "fence": 1,
        "token": f"token-{number}",
        "image": IMAGE,
        "inputs": {},
        "granted": {"cpu": 1, "ram_mb": 256, "vram_mb": None},
        "execution": {},
    }
    return Assignment(**(members | changes))


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again: what is waited for here happens outside of any event of ours."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


@dataclass
class Rig:
    agent: Agent
    server: FakeServer
    runtime: Any  # a FakeRuntime but where a real engine is lent
    services: Services
    state_dir: Path
    clock: Clock = field(default_factory=SystemClock)
    user: tuple[int, int] = (0, 0)
    life: asyncio.Task[None] | None = field(default=None)

    async def crash(self) -> None:
        """End the process as SIGKILL would: nothing is told, nothing is put away."""
        assert self.life is not None
        self.services.is_leaving = True
        tasks = [task for _, task in self.agent._running.values()]  # noqa: SLF001
        for task in (self.life, *tasks):
            task.cancel()
        await asyncio.gather(self.life, *tasks, return_exceptions=True)
        self.services.journal.close()

    async def start_again(self, *, boot: str = "boot") -> None:
        """Begin the next process of the same worker."""
        session = f"session-{next(_numbers)}"
        self.agent, self.services = _a_worker(
            self.state_dir,
            self.runtime,
            self.server,
            self.clock,
            self.user,
            session=session,
            boot=boot,
        )
        self.life = asyncio.create_task(self.agent.run())

    async def carry_out(self, **changes: Any) -> Attempt:
        """Assign, and wait until the attempt is over and nothing of it is left."""
        attempt = await self.server.assign(an_assignment(**changes))
        await self.server.until(attempt)
        await self.until_clean()
        return attempt

    async def until_clean(self) -> None:
        await until(lambda: not self.agent.held_runs)

    async def until_held(self) -> None:
        await until(lambda: bool(self.agent.held_runs))

    def leftovers(self) -> list[str]:
        runs = self.state_dir / "runs"
        return [path.name for path in runs.iterdir()] if runs.exists() else []

    async def containers(self) -> int:
        return len(await self.runtime.list_managed({}))


def result_of(attempt: Attempt) -> Result:
    assert attempt.result is not None
    return attempt.result


@asynccontextmanager
async def a_rig(
    state_dir: Path,
    scripts: Mapping[str, Script] | Script,
    *,
    registry: Mapping[str, PullScript] | None = None,
    factor: float = 1.0,
    heartbeat_s: float = 0.02,
    runtime: ContainerRuntime | None = None,
    user: tuple[int, int] = (0, 0),
    gpus: Gpus | None = None,
) -> AsyncGenerator[Rig]:
    """A worker that is registered and claims; it is drained at the end."""
    clock: Clock = FastClock(factor)
    if isinstance(scripts, Script):
        scripts = {IMAGE: scripts}
    runtime = runtime or FakeRuntime(clock, scripts, registry=registry)
    server = FakeServer(clock, heartbeat_interval_s=heartbeat_s * factor)
    agent, services = _a_worker(state_dir, runtime, server, clock, user, session="session")
    services.gpus = gpus or services.gpus
    rig = Rig(agent, server, runtime, services, state_dir, clock, user)
    rig.life = asyncio.create_task(agent.run())
    try:
        yield rig
    finally:
        server.away = None
        rig.agent.stop_now()
        await asyncio.wait([rig.life], timeout=10)
        rig.life.cancel()
        rig.services.journal.close()


def _a_worker(
    state_dir: Path,
    runtime: ContainerRuntime,
    server: FakeServer,
    clock: Clock,
    user: tuple[int, int],
    *,
    session: str,
    boot: str = "boot",
) -> tuple[Agent, Services]:
    draw = random.Random(session)
    identity = Identity(
        worker_id=f"wrk_{state_dir.name}",
        machine_id="machine",
        boot_id=boot,
        session_id=session,
    )
    services = Services(
        runtime=runtime,
        server=server,
        clock=clock,
        journal=Journal(state_dir),
        identity=identity,
        health=Health(),
        state_dir=state_dir,
        container_uid=user[0],
        container_gid=user[1],
        starting=asyncio.Semaphore(4),
        draw=draw,
    )
    agent = Agent(
        services,
        Pipeline(stages(services)),
        present=lambda: Register(
            worker_id=identity.worker_id,
            name="rig",
            session_id=identity.session_id,
            machine_id="machine",
            boot_id=boot,
            version="0",
            capacity=Capacity(cpu=4, ram_mb=4096),
        ),
        draw=draw,
    )
    return agent, services

"""How long a free place waits for its run, and whether the depth of the queue changes it.

A real server process over HTTP, its database on disk with 10, 100,000 and 1,000,000 runnable
pending runs in 40 lanes, and two workers whose containers are scripted, in this process. Two cases,
in turn: from the end of a container to the start call of the next in line (its result is collected,
reported, stored and answered, the next run planned, stored, claimed and prepared), and from the
submit of a run of top priority to its start call on a worker with room. The last line is the worst
median in milliseconds.

    just bench dispatch [--depths 10 100000] [--samples N]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import structlog

from gyoza.client import AsyncGyozaClient, Backoff, ClientSettings
from gyoza.models import Constraints, OpRun
from gyoza.server.clock import SystemClock as ServerClock
from gyoza.server.storage.store import Store
from gyoza.wire.messages import Capacity
from gyoza.worker.clock import SystemClock
from gyoza.worker.main import assemble
from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import Script
from gyoza.worker.runtime.interface import ContainerHandle, ContainerRuntime
from gyoza.worker.server_http import HttpServer
from gyoza.worker.settings import WorkerSettings
from tests.stories.stage import own_environment
from tests.support.stack import free_port

LANES = 40
PORTION = 5_000
QUEUED_MB, URGENT_MB = 2_048, 512
# The queue's runs fit the box alone, one at a time; the urgent one fits what is left: the spare.
FLEET = {
    "box": Capacity(cpu=1, ram_mb=QUEUED_MB + 100),
    "spare": Capacity(cpu=1, ram_mb=URGENT_MB),
}
PATIENCE_S = 60.0
REST_S = 0.05


def main() -> None:
    """Measure each depth and print."""
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print("pending      case                     p50 ms    p99 ms    samples")
    worst = 0.0
    for depth in arguments.depths:
        with tempfile.TemporaryDirectory() as folder:
            freed, urgent = asyncio.run(_measure(Path(folder), depth, arguments.samples))
        for case, found in (("freed place -> start", freed), ("top priority -> start", urgent)):
            print(_line(depth, case, found), flush=True)
            worst = max(worst, statistics.median(found))
    print(f"worst p50: {worst:.1f} ms")


class OnCue:
    """The clock of scripted containers: their time is over when they are told so."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.cues: asyncio.Queue[None] = asyncio.Queue()

    def now(self) -> datetime:
        """See `Clock`."""
        return self._clock.now()

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for the next cue, however long it is."""
        await self.cues.get()


class Watched:
    """A scripted runtime that tells when containers start and lets them end on cue."""

    def __init__(self) -> None:
        self._clock = OnCue()
        scripts = {"queued:1": Script(duration_s=1.0), "urgent:1": Script()}
        self._runtime = FakeRuntime(self._clock, scripts)
        self.starts: asyncio.Queue[float] = asyncio.Queue()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)

    async def start(self, handle: ContainerHandle) -> None:
        """Note the moment, and start."""
        self.starts.put_nowait(time.perf_counter())
        await self._runtime.start(handle)

    def end(self) -> None:
        """Let the container that runs complete."""
        self._clock.cues.put_nowait(None)

    async def next_start(self) -> float:
        """Wait for the next start call; returns when it came."""
        return await asyncio.wait_for(self.starts.get(), PATIENCE_S)


async def _measure(folder: Path, depth: int, samples: int) -> tuple[list[float], list[float]]:
    for name in ("data", *FLEET):
        (folder / name).mkdir()
    await _fill(folder / "data" / "gyoza.db", depth + samples)
    runtimes = {name: Watched() for name in FLEET}
    freed: list[float] = []
    urgent: list[float] = []
    async with _server(folder) as url, AsyncGyozaClient(url) as client, asyncio.TaskGroup() as work:
        agents = [
            work.create_task(_worker(url, folder / name, name, runtimes[name])) for name in FLEET
        ]
        await runtimes["box"].next_start()
        for _ in range(samples):
            began = time.perf_counter()
            runtimes["box"].end()
            freed.append((await runtimes["box"].next_start() - began) * 1000)
            # Nothing is written any more when the next one is submitted.
            await asyncio.sleep(REST_S)
            began = time.perf_counter()
            needs = Constraints(cpu=1, ram_mb=URGENT_MB)
            await client.create_run("urgent:1", {}, priority=100, constraints=needs)
            urgent.append((await runtimes["spare"].next_start() - began) * 1000)
            # Until the spare has reported and asks again: the next sample is of an idle worker.
            await asyncio.sleep(REST_S)
        for agent in agents:
            agent.cancel()
    return freed, urgent


async def _worker(url: str, state_dir: Path, name: str, runtime: Watched) -> None:
    server = HttpServer(url, "")
    agent, services = assemble(
        WorkerSettings(name=name),
        state_dir,
        runtime=cast("ContainerRuntime", runtime),
        server=server,
        capacity=FLEET[name],
    )
    try:
        await agent.run()
    finally:
        services.journal.close()
        await server.close()


@asynccontextmanager
async def _server(folder: Path) -> AsyncGenerator[str, None]:
    port = free_port()
    words = ["server", "start", "--port", str(port), "--data-dir", str(folder / "data")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - it goes on beside the loop
            [sys.executable, "-m", "gyoza", *words],
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            # The client itself bears with a server that is not there yet.
            patient = ClientSettings(url, backoff=Backoff(retries=400, first_s=0.1, cap_s=0.2))
            async with AsyncGyozaClient(settings=patient) as client:
                await client.readiness()
            yield url
        finally:
            process.terminate()
            process.wait(10)


async def _fill(path: Path, depth: int) -> None:
    store = Store.open(path, clock=ServerClock())
    try:
        for start in range(0, depth, PORTION):
            runs = [_run(at) for at in range(start, min(depth, start + PORTION))]
            await store.write(lambda uow, runs=runs: uow.runs.add(runs))
    finally:
        store.close()


def _run(number: int) -> OpRun:
    lane = number % LANES
    return OpRun.create(
        "queued:1",
        priority=lane % 4,
        constraints=Constraints(1, QUEUED_MB + 8 * (lane % 10), None),
        now=ServerClock().now() - timedelta(seconds=1),
    )


def _line(depth: int, case: str, durations_ms: list[float]) -> str:
    hundredths = statistics.quantiles(durations_ms, n=100)
    figures = f"{hundredths[49]:7.1f}   {hundredths[98]:7.1f}    {len(durations_ms):>7}"
    return f"{depth:>9,}    {case:<22} {figures}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 100_000, 1_000_000])
    parser.add_argument("--samples", type=int, default=100, help="measurements of each case")
    return parser.parse_args()


if __name__ == "__main__":
    main()

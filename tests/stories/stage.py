"""Where stories play: a real server process, and a worker whose containers are scripted."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from gyoza.client import Backoff, ClientSettings, GyozaClient
from gyoza.wire.messages import Capacity, Gpu
from gyoza.worker.agent import Agent
from gyoza.worker.clock import SystemClock
from gyoza.worker.main import assemble
from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import Append, Say, Script
from gyoza.worker.server_http import HttpServer
from gyoza.worker.settings import WorkerSettings
from tests.support.stack import free_port

GYOZA: Final = (sys.executable, "-m", "gyoza")
CAPACITY: Final = Capacity(cpu=8, ram_mb=16_000, gpus=[Gpu(uuid="GPU-1", vram_mb=24_576)])
ALONE: Final = {"atlas": CAPACITY}
THREE: Final = {
    "atlas": CAPACITY,
    "boreas": Capacity(cpu=8, ram_mb=16_000, gpus=[Gpu(uuid="GPU-2", vram_mb=24_576)]),
    "caldera": Capacity(cpu=16, ram_mb=64_000),
}
FLEETS: Final = {"waiting": THREE}
"""The workers of a story by its name; others have one."""


def own_environment() -> dict[str, str]:
    """Return this process's environment without anything that points at another gyoza."""
    own = os.environ  # noqa: TID251 - real child processes need the real environment
    return {name: value for name, value in own.items() if not name.startswith("GYOZA_")}


def _shout(inside: Path | None, outside: Path | None) -> int:
    assert inside is not None
    assert outside is not None
    inputs = json.loads((inside / "input.json").read_text())
    text = inputs["text"].upper()
    (outside / "output.json").write_text(json.dumps({"text": text, "length": len(text)}))
    return 0


PROGRESS: Final = b'{"type": "progress", "msg": 50}\n'
SCRIPTS: Final = {
    "shout:1": Script(steps=(Say(b"shouting\n"), Append("events.jsonl", PROGRESS)), on_run=_shout),
    "broken:1": Script(steps=(Say(b"no such tile\n", "stderr"),), exit_code=3),
    "hungry:1": Script(oom=True),
    "patient:1": Script(steps=(Say(b"waiting\n"),), duration_s=float("inf")),
    "silent:1": Script(),
}


@contextmanager
def a_stage(folder: Path, fleet: Mapping[str, Capacity] = ALONE) -> Iterator[str]:
    """Run a server and scripted workers, by name; gives the server's address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*GYOZA, "server", "start", "--port", str(port), "--data-dir", str(folder / "data")],
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _until(url, GyozaClient.readiness)
        with ExitStack() as workers:
            for name, capacity in fleet.items():
                workers.enter_context(_scripted_worker(url, folder / name, name, capacity))
            _until(url, lambda client: _has_workers(client, len(fleet)))
            yield url
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def _scripted_worker(url: str, state_dir: Path, name: str, capacity: Capacity) -> Iterator[None]:
    state_dir.mkdir()
    loops: list[tuple[asyncio.AbstractEventLoop, Agent]] = []

    async def work() -> None:
        settings = WorkerSettings(name=name, tags={"zone": "attic"})
        server = HttpServer(url, "")
        agent, services = assemble(
            settings,
            state_dir,
            runtime=FakeRuntime(SystemClock(), SCRIPTS),
            server=server,
            capacity=capacity,
        )
        loops.append((asyncio.get_running_loop(), agent))
        try:
            await agent.run()
        finally:
            services.journal.close()
            await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        yield
    finally:
        loop, agent = loops[0]
        # One call: a drained worker that holds nothing ends, and its loop with it.
        loop.call_soon_threadsafe(agent.stop_now)
        thread.join(20)


def _until(url: str, condition: Callable[[GyozaClient], object]) -> None:
    # Patience instead of a loop of our own: the client bears with a server that is not there yet.
    patient = Backoff(retries=200, first_s=0.05, cap_s=0.1)
    with GyozaClient(settings=ClientSettings(url, backoff=patient)) as client:
        for _ in range(400):
            if condition(client):
                return
            threading.Event().wait(0.05)
    raise AssertionError("the server or the worker did not become ready")


def _has_workers(client: GyozaClient, count: int) -> bool:
    return sum(worker.state == "READY" for worker in client.list_workers()) == count

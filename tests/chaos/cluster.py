"""Real processes over one folder: a server, workers behind proxies, and an engine of their own.

What can be done to them is done by the nemesis; here they are started, found and ended.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from gyoza.worker.execution.workdir import RUNS
from gyoza.worker.journal import Journal
from tests.chaos.proxy import Proxy
from tests.chaos.watcher import EngineWatcher
from tests.simulation.recording import Recorder
from tests.support.engine import busybox_image
from tests.support.stack import free_port
from tests.system.engine_faults.private_engine import PrivateEngine

READY_S = 40.0
# Smaller than the production numbers and in the same order, so that minutes show what hours would.
NUMBERS = {
    "heartbeat_interval_s": 1.0,
    "silent_after_s": 3.0,
    "lease_s": 8.0,
    "acknowledge_within_s": 6.0,
    "pulse_interval_s": 1.0,
    "amnesty_after_gap_s": 4.0,
    # Longer than a lease, and so short that leases expire between two faults of the server.
    "amnesty_s": 10.0,
    "brake_s": 6.0,
    "machinery_attempts": 8,
    "machinery_backoff_s": 0.5,
    "max_backoff_s": 5.0,
}


class Cluster:
    """Everything that runs.

    Args:
        folder: For all of it; short, because sockets have short names.
        workers: How many.
        recorder: Where facts are written.
        draw: Chance of the wires.
        saw: Told of named points.
    """

    def __init__(
        self,
        folder: Path,
        workers: int,
        recorder: Recorder,
        draw: random.Random,
        saw: Callable[[str], None],
    ) -> None:
        self.folder, self.recorder = folder, recorder
        self.port = free_port()
        self.engine = PrivateEngine(folder)
        self.names = [f"host-{number}" for number in range(workers)]
        self.proxies = {
            name: Proxy(name, self.port, recorder, saw, draw) for name in [*self.names, "callers"]
        }
        self._saw = saw
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._watcher: EngineWatcher | None = None
        self.image = ""

    def __enter__(self) -> Self:
        self.engine.__enter__()
        api = self.engine.api()
        self.image = busybox_image(api)
        api.close()
        self._watcher = EngineWatcher(self.engine.socket, self.recorder, self._saw)
        self.recorder.note("setup", seed=0, skew_us=4_000_000, **NUMBERS)
        self.start("server")
        self.until_ready()
        for name in self.names:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(10)
        for proxy in self.proxies.values():
            proxy.close()
        if self._watcher is not None:
            self._watcher.stop()
        self.engine.__exit__()

    def start(self, name: str) -> None:
        """Start a process that is not there; "server" or a worker's name."""
        if name in self._processes:
            return
        arguments = (
            ["server", "start", "--port", str(self.port)]
            if name == "server"
            else ["worker", "start"]
        )
        with (self.folder / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gyoza", *arguments],
                env={**os.environ, **self._environment(name)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        if name == "server":
            self.recorder.note("server", what="start")

    def signal(self, name: str, how: signal.Signals) -> bool:
        """Send a signal; returns whether there was a process."""
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            return False
        process.send_signal(how)
        return True

    def kill(self, name: str) -> None:
        """SIGKILL, and gone."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait(10)

    def revive(self) -> None:
        """Start whatever has ended by itself, or was killed."""
        for name in ["server", *self.names]:
            process = self._processes.get(name)
            if process is not None and process.poll() is not None:
                del self._processes[name]
            self.start(name)

    def until_ready(self) -> None:
        """Wait until the server answers."""
        end_s = time.monotonic() + READY_S
        while self.server_status("/readyz") != 200:
            if time.monotonic() > end_s:
                log = (self.folder / "server.log").read_text()[-2000:]
                raise AssertionError(f"the server does not start: {log}")
            time.sleep(0.1)

    def server_status(self, path: str) -> int:
        """What the server says to a GET, past all proxies; 0 when nothing."""
        answer = self.proxies["callers"]._ask("GET", path, {}, b"")  # noqa: SLF001
        return 0 if answer is None else answer.status

    def stop_workers(self) -> None:
        """An orderly end: each drains first."""
        for name in self.names:
            self.signal(name, signal.SIGTERM)
        for name in self.names:
            process = self._processes.pop(name, None)
            if process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(40)
                process.kill()

    def note_what_is_left(self) -> None:
        """The last look; the workers have ended."""
        api = self.engine.api()
        containers = [
            {
                "name": each["Names"][0].lstrip("/"),
                "run": each["Labels"].get("org.gyoza.run", ""),
                "fence": int(each["Labels"].get("org.gyoza.fence", 0)),
            }
            for each in api.managed()
        ]
        api.close()
        self.recorder.note("left", host="engine", containers=containers, folders=[], unfinished=[])
        for name in self.names:
            self.recorder.note("left", containers=[], **self._left_of(name))

    def _left_of(self, name: str) -> dict[str, Any]:
        state = self.folder / name
        runs = state / RUNS
        folders = sorted(each.name for each in runs.iterdir()) if runs.is_dir() else []
        journal = Journal(state)
        unfinished = [
            [each.assignment.run_id, each.assignment.fence] for each in journal.unfinished
        ]
        journal.close()
        return {"host": name, "folders": folders, "unfinished": unfinished}

    @property
    def database(self) -> Path:
        """The server's file."""
        return self.folder / "data" / "gyoza.db"

    def _environment(self, name: str) -> dict[str, str]:
        numbers = {f"GYOZA_{key.upper()}": str(value) for key, value in NUMBERS.items()}
        if name == "server":
            return {**numbers, "GYOZA_DATA_DIR": str(self.folder / "data")}
        return {
            "GYOZA_SERVER_URL": self.proxies[name].url,
            "GYOZA_WORKER_NAME": name,
            "GYOZA_WORKER_STATE_DIR": str(self.folder / name),
            "GYOZA_WORKER_CPU": "2",
            "GYOZA_WORKER_RAM_MB": "256",
            "GYOZA_DOCKER_HOST": f"unix://{self.engine.socket}",
        }


def short_folder() -> Path:
    """A folder whose sockets' names fit into the kernel's 107 bytes."""
    for number in range(1000):
        path = Path(f"/tmp/gyoza-chaos-{os.getpid()}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise AssertionError("no folder is free under /tmp/gyoza-chaos-*")


def remove_folder(folder: Path) -> None:
    """Take everything away that was made there."""
    shutil.rmtree(folder, ignore_errors=True)

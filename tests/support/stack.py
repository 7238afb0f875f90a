"""A real server and a real worker as processes of their own, for system tests and measurements."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gyoza.client import GyozaClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

START_S = 40.0


class Stack:
    """Server and worker over one folder; their output is in `server.log` and `worker.log`."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.worker_state = folder / "worker"
        self._environment = dict(environment or {})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.start_server()
        self.start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("worker")
        self.stop("server")

    def client(self) -> GyozaClient:
        return GyozaClient(self.url)

    def start_server(self) -> None:
        self._start("server", "server", "start", "--port", str(self.port))
        self._wait_for(self._server_is_ready, "server")

    def start_worker(self) -> None:
        self._start("worker", "worker", "start")
        self._wait_for(self._worker_is_ready, "worker")

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """The process itself, for a test that ends it in its own way."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """SIGKILL, as a power cut would."""
        self._processes[name].kill()
        self._processes.pop(name).wait(10)

    def stop(self, name: str, *, within_s: float = 30.0) -> int | None:
        """SIGTERM and wait; None when it was not running."""
        process = self._processes.pop(name, None)
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, *arguments: str) -> None:
        environment = {
            **os.environ,
            "GYOZA_DATA_DIR": str(self.folder / "data"),
            "GYOZA_SERVER_URL": self.url,
            "GYOZA_WORKER_STATE_DIR": str(self.worker_state),
            **self._environment,
        }
        with (self.folder / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gyoza", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _wait_for(self, condition: Callable[[], bool], name: str) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._processes[name].poll() is not None:
                break
            with contextlib.suppress(Exception):
                if condition():
                    return
            time.sleep(0.05)
        raise AssertionError(f"the {name} did not start; its output:\n{self.log(name)}")

    def _server_is_ready(self) -> bool:
        with self.client() as client:
            list(client.list_workers())
        return True

    def _worker_is_ready(self) -> bool:
        with self.client() as client:
            return any(worker.state == "READY" for worker in client.list_workers())


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

"""The two children of `gyoza dev`: started in order, watched, and ended in the other order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.supervision import Restarts, start_child

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.supervision import Child
    from gyoza.client import GyozaClient
    from gyoza.wire.messages import WorkerView

T = TypeVar("T")
TICK_S: Final = 0.1
_READY_WITHIN_S: Final = 30.0
# A worker drains at the first request and stops what still runs at the second.
_GRACES_S: Final = {"worker": (2.0, 8.0), "server": (6.0,)}


class Stop:
    """Whether somebody asked for the end: Ctrl-C, SIGTERM, or a closed terminal."""

    _SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.times = 0

    @property
    def asked(self) -> bool:
        """Whether it was asked for at all."""
        return self.times > 0

    @property
    def is_hurried(self) -> bool:
        """Whether it was asked for twice: no more grace."""
        return self.times > 1

    def __enter__(self) -> Self:
        self._before = [signal.signal(each, self._note) for each in self._SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in zip(self._SIGNALS, self._before, strict=True):
            signal.signal(each, handler)

    def _note(self, number: int, frame: object) -> None:
        del number, frame
        self.times += 1


class Stack:
    """A server and a worker over one folder.

    Args:
        folder: Holds everything, and persists.
        port: To listen on; the next free one is taken when it is not free.
        worker_tags: `key=value` words for the worker.
        context: Clocks, environment and output.
    """

    def __init__(
        self, folder: Path, port: int, worker_tags: tuple[str, ...], context: Context
    ) -> None:
        self._folder = folder
        self._port = port
        self._worker_tags = worker_tags
        self._context = context
        self._children: list[Child] = []
        self._worker: WorkerView | None = None
        self._restarts = Restarts()
        self._worker_since_s = 0.0
        self._again_at_s: float | None = None
        self.url = ""

    def start(self, stop: Stop) -> None:
        """Start the server, then the worker, each until it is ready.

        Raises:
            CliError: There is no port, or a part ended by itself.
        """
        from gyoza.cli.ports import DEFAULT_HOST, next_free

        port = next_free(DEFAULT_HOST, self._port)
        if port != self._port:
            self._context.output.hint(f"port {self._port} is taken; using {port}")
        self.url = f"http://{DEFAULT_HOST}:{port}"
        for name in ("server", "worker", "logs"):
            (self._folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        data_dir = str(self._folder / "server")
        server = ["--host", DEFAULT_HOST, "--port", str(port), "--data-dir", data_dir]
        worker = self._worker_arguments()
        self._children.append(self._started("server", server))
        with self._client() as client:
            self._until(stop, lambda: _ready(client))
            self._children.append(self._started("worker", worker))
            self._worker_since_s = self._context.monotonic()
            self._worker = self._until(stop, lambda: _registered(client))

    def announce(self, engine: str) -> None:
        """Say where everything is."""
        from gyoza.cli.endpoint import write_endpoint
        from gyoza.client.dev_endpoint import Endpoint

        endpoint = Endpoint(self.url, os.getpid(), str(self._folder))
        write_endpoint(self._context.state_dir, endpoint)
        output = self._context.output
        if output.as_json:
            output.json({"url": self.url, "pid": endpoint.pid, "data_dir": endpoint.data_dir})
            return
        output.pairs(
            [
                ("API", self.url),
                ("Data folder", f"{self._folder} (kept between starts)"),
                ("Engine", engine),
                *_worker_facts(self._worker),
                ("Logs", "\n".join(str(child.log_file) for child in self._children)),
                ("Stop", f"Ctrl-C, or kill {os.getpid()}"),
            ]
        )

    def keep_running(self) -> None:
        """Start the worker again if it ended; to be called often.

        Raises:
            CliError: The server ended, or the worker does so again and again.
        """
        server, worker = self._children
        _require_running(server)
        if worker.is_running:
            return
        if self._again_at_s is None:
            self._again_at_s = self._context.monotonic() + self._pause_s(worker)
        elif self._context.monotonic() >= self._again_at_s:
            self._again_at_s = None
            self._children[1] = self._started("worker", self._worker_arguments())
            self._worker_since_s = self._context.monotonic()
            self._context.output.hint("the worker is started again")

    def _pause_s(self, worker: Child) -> float:
        how = worker.how_it_ended()
        pause_s = self._restarts.pause_s(self._context.monotonic() - self._worker_since_s)
        if pause_s is None:
            raise _ended(worker, f"{how}, as it did {self._restarts.quick_deaths - 1} times before")
        again = f"it is started again in {pause_s:g} s"
        self._context.output.hint(f"the worker {how}; {again}. Its output: {worker.log_file}")
        return pause_s

    def end(self, stop: Stop) -> None:
        """End the worker, which gives back what it holds, then the server."""
        if self._children:
            self._context.output.hint("stopping; Ctrl-C again to kill")
        for child in reversed(self._children):
            for grace_s in _GRACES_S[child.name]:
                child.ask_to_end()
                self._wait_for(child, grace_s, stop)
            child.end(grace_s=0.0)

    def _wait_for(self, child: Child, grace_s: float, stop: Stop) -> None:
        deadline = self._context.monotonic() + grace_s
        while child.is_running and not stop.is_hurried and self._context.monotonic() < deadline:
            self._context.sleep(TICK_S)

    def _worker_arguments(self) -> list[str]:
        from gyoza.cli.tags import parse_tags

        state_dir = str(self._folder / "worker")
        tags = parse_tags(self._worker_tags).items()
        words = [word for item in tags for word in ("--tag", "=".join(item))]
        return ["--url", self.url, "--state-dir", state_dir, *words]

    def _started(self, name: str, arguments: list[str]) -> Child:
        log_file = self._folder / "logs" / f"{name}.log"
        # Of the worker alone; the server reads no such variable.
        environment = {
            **self._context.environment,
            "GYOZA_WORKER_DEV_SOURCES": str(sources_folder(self._folder)),
        }
        return start_child(name, [name, "start", *arguments], environment, log_file)

    def _client(self) -> GyozaClient:
        from gyoza.client import Backoff, ClientSettings, GyozaClient

        # The loop around asks again itself, and looks after the children in between.
        key = self._context.environment.get("GYOZA_API_KEY")
        settings = ClientSettings(self.url, key, timeout_s=5.0, backoff=Backoff(retries=0))
        return GyozaClient(settings=settings)

    def _until(self, stop: Stop, look: Callable[[], T | None]) -> T | None:
        deadline = self._context.monotonic() + _READY_WITHIN_S
        while not stop.asked:
            for child in self._children:
                _require_running(child)
            found = look()
            if found is not None:
                return found
            if self._context.monotonic() > deadline:
                raise _ended(self._children[-1], f"is not ready after {_READY_WITHIN_S:g} s")
            self._context.sleep(TICK_S)
        return None


def sources_folder(folder: Path) -> Path:
    """Return where the sources of watched projects are, below a data folder."""
    return folder / "sources"


def _require_running(child: Child) -> None:
    if not child.is_running:
        raise _ended(child, child.how_it_ended())


def _ended(child: Child, what: str) -> CliError:
    return CliError(
        f"the {child.name} {what}",
        ExitCode.UNEXPECTED,
        hint=f"all of its output is in {child.log_file}",
        details=tuple(f"| {line}" for line in child.last_lines()),
    )


def _ready(client: GyozaClient) -> Any:
    from gyoza.client.errors import GyozaError

    try:
        return client.readiness()
    except GyozaError:
        return None


def _registered(client: GyozaClient) -> WorkerView | None:
    from gyoza.client.errors import GyozaError

    try:
        # The data folder persists, and with it workers of earlier starts.
        return next((each for each in client.list_workers() if each.state == "READY"), None)
    except GyozaError:
        return None


def _worker_facts(worker: WorkerView | None) -> list[tuple[str, str]]:
    if worker is None:
        return []
    has = worker.capacity
    gpus = [f"{gpu.name or gpu.uuid}, {gpu.vram_mb} MB" for gpu in has.gpus]
    return [
        ("Worker", f"{worker.name}, {has.cpu} CPUs, {has.ram_mb} MB RAM"),
        ("GPUs", "\n".join(gpus) or "none found"),
    ]

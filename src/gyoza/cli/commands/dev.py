"""`gyoza dev`: a server and a worker on this machine, as one command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeVar

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.supervision import Child
    from gyoza.client import GyozaClient
    from gyoza.wire.messages import WorkerView

T = TypeVar("T")
_READY_WITHIN_S: Final = 30.0
_TICK_S: Final = 0.1
# A worker drains at the first request and stops what still runs at the second.
_GRACES_S: Final = {"worker": (2.0, 8.0), "server": (6.0,)}
_INSTALL: Final = "install Docker Engine (https://docs.docker.com/engine/install/) and start it"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        data_dir: Holds everything, and persists; None is the user's data folder.
        port: To listen on; the next free one is taken when it is not free.
        worker_tags: `key=value` words for the worker.
    """

    data_dir: Path | None = None
    port: int = 5555
    worker_tags: tuple[str, ...] = ()


def command(
    ctx: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Holds everything, and persists.")] = None,
    port: Annotated[int, typer.Option(help="Or the next free one.", min=1, max=65535)] = 5555,
    worker_tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Tag of the worker.")
    ] = None,
) -> int:
    """Start a server and a worker on this machine."""
    return run(Options(data_dir, port, tuple(worker_tag or ())), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Keep both running until Ctrl-C, or until one of them ends by itself.

    Raises:
        CliError: No engine, no port, another `gyoza dev` on the same data, or a part that ended.
    """
    from gyoza.cli.endpoint import remove_endpoint

    folder = (options.data_dir or context.data_dir / "dev").absolute()
    _refuse_second(folder, context)
    engine = _engine(context)
    stack = _Stack(options, context, folder)
    with _Stop() as stop:
        try:
            stack.start(stop)
            if not stop.asked:
                stack.announce(engine)
                stack.watch(stop)
        finally:
            remove_endpoint(context.state_dir, os.getpid())
            stack.end(stop)
    return ExitCode.OK


class _Stop:
    """Whether somebody asked for the end: Ctrl-C, SIGTERM, or a closed terminal."""

    _SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.times = 0

    @property
    def asked(self) -> bool:
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


class _Stack:
    """The two children."""

    def __init__(self, options: Options, context: Context, folder: Path) -> None:
        self._options = options
        self._context = context
        self._folder = folder
        self._children: list[Child] = []
        self._url = ""
        self._worker: WorkerView | None = None

    def start(self, stop: _Stop) -> None:
        """Start the server, then the worker, each until it is ready."""
        from gyoza.cli.ports import DEFAULT_HOST, next_free
        from gyoza.cli.tags import parse_tags

        tags = parse_tags(self._options.worker_tags)
        port = next_free(DEFAULT_HOST, self._options.port)
        if port != self._options.port:
            self._context.output.hint(f"port {self._options.port} is taken; using {port}")
        self._url = f"http://{DEFAULT_HOST}:{port}"
        for name in ("server", "worker", "logs"):
            (self._folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        data_dir = str(self._folder / "server")
        self._add("server", ["--host", DEFAULT_HOST, "--port", str(port), "--data-dir", data_dir])
        with self._client() as client:
            self._until(stop, lambda: _ready(client))
            state_dir = str(self._folder / "worker")
            words = [word for item in tags.items() for word in ("--tag", "=".join(item))]
            self._add("worker", ["--url", self._url, "--state-dir", state_dir, *words])
            self._worker = self._until(stop, lambda: _registered(client))

    def announce(self, engine: str) -> None:
        """Say where everything is."""
        from gyoza.cli.endpoint import Endpoint, write_endpoint

        endpoint = Endpoint(self._url, os.getpid(), str(self._folder))
        write_endpoint(self._context.state_dir, endpoint)
        output = self._context.output
        if output.as_json:
            output.json({"url": self._url, "pid": endpoint.pid, "data_dir": endpoint.data_dir})
            return
        output.pairs(
            [
                ("API", self._url),
                ("Data folder", f"{self._folder} (kept between starts)"),
                ("Engine", engine),
                *_worker_facts(self._worker),
                ("Logs", "\n".join(str(child.log_file) for child in self._children)),
                ("Stop", f"Ctrl-C, or kill {os.getpid()}"),
            ]
        )

    def watch(self, stop: _Stop) -> None:
        """Return when the end is asked for.

        Raises:
            CliError: A child ended by itself.
        """
        while not stop.asked:
            self._require_running()
            self._context.sleep(_TICK_S)

    def end(self, stop: _Stop) -> None:
        """End the worker, which gives back what it holds, then the server."""
        if self._children:
            self._context.output.hint("stopping; Ctrl-C again to kill")
        for child in reversed(self._children):
            for grace_s in _GRACES_S[child.name]:
                child.ask_to_end()
                self._wait_for(child, grace_s, stop)
            child.end(grace_s=0.0)

    def _wait_for(self, child: Child, grace_s: float, stop: _Stop) -> None:
        deadline = self._context.monotonic() + grace_s
        while child.is_running and not stop.is_hurried and self._context.monotonic() < deadline:
            self._context.sleep(_TICK_S)

    def _add(self, name: str, arguments: list[str]) -> None:
        from gyoza.cli.supervision import start_child

        log_file = self._folder / "logs" / f"{name}.log"
        words = [name, "start", *arguments]
        self._children.append(start_child(name, words, self._context.environment, log_file))

    def _client(self) -> GyozaClient:
        from gyoza.client import Backoff, ClientSettings, GyozaClient

        # The loop around asks again itself, and looks after the children in between.
        key = self._context.environment.get("GYOZA_API_KEY")
        settings = ClientSettings(self._url, key, timeout_s=5.0, backoff=Backoff(retries=0))
        return GyozaClient(settings=settings)

    def _until(self, stop: _Stop, look: Callable[[], T | None]) -> T | None:
        deadline = self._context.monotonic() + _READY_WITHIN_S
        while not stop.asked:
            self._require_running()
            found = look()
            if found is not None:
                return found
            if self._context.monotonic() > deadline:
                raise _ended(self._children[-1], f"is not ready after {_READY_WITHIN_S:g} s")
            self._context.sleep(_TICK_S)
        return None

    def _require_running(self) -> None:
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise _ended(child, f"ended by itself (exit code {code})")


def _ended(child: Child, what: str) -> CliError:
    return CliError(
        f"the {child.name} {what}",
        ExitCode.UNEXPECTED,
        hint=f"all of its output is in {child.log_file}",
        details=tuple(f"| {line}" for line in child.last_lines()),
    )


def _refuse_second(folder: Path, context: Context) -> None:
    from gyoza.cli.endpoint import find_endpoint

    running = find_endpoint(context.state_dir)
    if running is not None and running.data_dir == str(folder):
        raise CliError(
            f"gyoza dev runs already, at {running.url} (process {running.pid})",
            ExitCode.CONFLICT,
            hint="use it, or start another with --data-dir",
        )


def _engine(context: Context) -> str:
    from gyoza.cli.engine_images import EngineUnreachable, engine_address, engine_version

    runtime = context.environment.get("GYOZA_WORKER_RUNTIME", "docker")
    if runtime != "docker":
        return f"{runtime} (GYOZA_WORKER_RUNTIME)"
    address = engine_address(context.environment)
    try:
        return f"Docker {engine_version(address)} at {address}"
    except EngineUnreachable as error:
        raise CliError(
            f"no container engine answers at {error}", ExitCode.UNAVAILABLE, hint=_INSTALL
        ) from error


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

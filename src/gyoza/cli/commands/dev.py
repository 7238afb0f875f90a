"""`gyoza dev [PATH...]`: a server and a worker on this machine, and projects deployed as saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.dev_stack import Stop
    from gyoza.cli.watching.watch import Watch
    from gyoza.client.dev_endpoint import Endpoint
    from gyoza.project.engine_build import Engine

_Serving = tuple[str, Callable[[], None]]
_INSTALL: Final = "install Docker Engine (https://docs.docker.com/engine/install/) and start it"
_JOIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        paths: Projects to watch: folders, `gyoza.yml` files, single Python files.
        data_dir: Holds everything, and persists; None is the user's data folder.
        port: To listen on; the next free one is taken when it is not free.
        worker_tags: `key=value` words for the worker.
        base: Base image of the projects; None is each project's, the machine's or the public one.
    """

    paths: tuple[Path, ...] = ()
    data_dir: Path | None = None
    port: int = 5555
    worker_tags: tuple[str, ...] = ()
    base: str | None = None


def command(
    ctx: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Projects to deploy at each save."),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Holds everything, and persists.")] = None,
    port: Annotated[int, typer.Option(help="Or the next free one.", min=1, max=65535)] = 5555,
    worker_tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Tag of the worker.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Image to build the projects on.")
    ] = None,
) -> int:
    """Start a server and a worker on this machine, and deploy projects as they are saved."""
    options = Options(tuple(paths or ()), data_dir, port, tuple(worker_tag or ()), base)
    return run(options, context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Keep it all running until Ctrl-C, or until a part of it ends for good.

    Raises:
        CliError: No engine, no port, no such project, another `gyoza dev` on the same data and
            nothing to watch, or a part that ended for good.
    """
    from gyoza.cli.dev_stack import Stop

    folder = (options.data_dir or context.data_dir / "dev").absolute()
    running = _running(folder, context)
    if running is not None and not options.paths:
        raise CliError(
            f"gyoza dev runs already, at {running.url} (process {running.pid})",
            ExitCode.CONFLICT,
            hint="use it, name projects to watch with it, or start another with --data-dir",
        )
    _require_projects(options.paths)
    about_engine = _engine(context)
    builder = _builder(context) if options.paths else None
    with Stop() as stop:
        if running is None:
            serving = _own_stack(options, folder, about_engine, stop, context)
        else:
            serving = _stack_of(running, context)
        with serving as (url, keep_running):
            watches = [] if builder is None else _watches(options, folder, url, builder, context)
            _watch(watches, stop, keep_running, context)
    return ExitCode.OK


@contextmanager
def _own_stack(
    options: Options, folder: Path, about_engine: str, stop: Stop, context: Context
) -> Generator[_Serving]:
    from gyoza.cli.dev_stack import Stack
    from gyoza.cli.endpoint import remove_endpoint

    stack = Stack(folder, options.port, options.worker_tags, context)
    try:
        stack.start(stop)
        if not stop.asked:
            stack.announce(about_engine)
        yield stack.url, stack.keep_running
    finally:
        remove_endpoint(context.state_dir, os.getpid())
        stack.end(stop)


@contextmanager
def _stack_of(running: Endpoint, context: Context) -> Generator[_Serving]:
    """Use what another process started; its end is not ours to bring about."""
    from gyoza.client.dev_endpoint import find_endpoint

    def keep_running() -> None:
        if find_endpoint(context.state_dir) != running:
            raise CliError(
                f"the gyoza dev at {running.url} (process {running.pid}) has ended",
                ExitCode.UNAVAILABLE,
                hint="start this command again: it brings a server and a worker of its own",
            )

    if context.output.as_json:
        context.output.json({"url": running.url, "pid": running.pid, "data_dir": running.data_dir})
    else:
        context.output.hint(f"using the gyoza dev at {running.url} (process {running.pid})")
    yield running.url, keep_running


def _watches(
    options: Options, folder: Path, url: str, builder: Engine, context: Context
) -> list[Watch]:
    from gyoza.cli.dev_stack import sources_folder
    from gyoza.cli.watching.telling import Telling
    from gyoza.cli.watching.updates import Updates
    from gyoza.cli.watching.watch import Watch
    from gyoza.client import GyozaClient
    from gyoza.client.settings import read_settings

    telling = Telling(context.output)
    settings = read_settings(url, environment=context.environment)
    return [
        Watch(
            Updates(
                path=path,
                base=options.base,
                engine=builder,
                client=GyozaClient(settings=settings),
                sources=sources_folder(folder),
                context=context,
                telling=telling,
            )
        )
        for path in options.paths
    ]


def _watch(
    watches: list[Watch], stop: Stop, keep_running: Callable[[], None], context: Context
) -> None:
    """Return when the end is asked for.

    Raises:
        CliError: A part ended by itself.
    """
    from gyoza.cli.dev_stack import TICK_S

    for watch in watches:
        watch.start()
    try:
        while not stop.asked:
            keep_running()
            for watch in watches:
                if watch.error is not None:
                    raise watch.error
            context.sleep(TICK_S)
    finally:
        for watch in watches:
            watch.stop()
        for watch in watches:
            watch.join(_JOIN_S)


def _running(folder: Path, context: Context) -> Endpoint | None:
    from gyoza.client.dev_endpoint import find_endpoint

    running = find_endpoint(context.state_dir)
    return running if running is not None and running.data_dir == str(folder) else None


def _require_projects(paths: tuple[Path, ...]) -> None:
    from gyoza.project import ProjectError
    from gyoza.project.project_file import find_project_file

    try:
        for path in paths:
            find_project_file(path)
    except ProjectError as error:
        raise CliError(str(error), ExitCode.INVALID) from error


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


def _builder(context: Context) -> Engine:
    from gyoza.cli.engine_images import engine_address
    from gyoza.project.engine_build import NoBuilder, find_engine

    # The images are for the engine that the worker uses.
    address = engine_address(context.environment)
    try:
        return find_engine({**context.environment, "DOCKER_HOST": address})
    except NoBuilder as error:
        raise CliError(str(error), ExitCode.UNAVAILABLE, hint=error.hint) from error

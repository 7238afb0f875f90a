"""`gyoza run PATH --local` and `--no-container`: a run without a server, shown like any other.

Finding and building what is run, following it, showing its end. Carrying it out is done in
`gyoza.testing`, which needs the worker's dependencies.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.local_views import LocalView, show_end

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.models import OpDefinition
    from gyoza.testing.attempts import LocalAttempt, OnAttempt, Order
    from gyoza.testing.local_server import Watcher
    from gyoza.testing.projects import LocalProject
    from gyoza.testing.results import RunResult

Carry = Callable[["Order", "Watcher", "OnAttempt"], Awaitable["RunResult"]]
_PERSON: Final = "interrupted at the terminal"
_NO_ENGINE: Final = "start the engine, or run a project without one: --no-container"
_OUTPUTS: Final = "gyoza-out"
_SUFFIXES: Final = (".py", ".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What is run without a server.

    Attributes:
        path: A project; None for an image.
        image: Reference of an image; None for a project.
        has_container: False takes the author's interpreter.
        inputs: `name=value` words.
        input_file: JSON object of inputs.
        folder: Where output files go; None is a folder of the run's own under `gyoza-out`.
        base: Base image to build on; None is the project's, the machine's or the public one.
    """

    path: Path | None = None
    image: str | None = None
    has_container: bool = True
    inputs: tuple[str, ...] = ()
    input_file: Path | None = None
    folder: Path | None = None
    base: str | None = None


def is_path(word: str) -> bool:
    """Whether a word can only mean a project on this machine, and not an op of a server.

    The name of a folder alone is an op's id as well, and most often both.
    """
    return "/" in word or word.endswith(_SUFFIXES) or word in {".", ".."}


def run_local(options: LocalOptions, context: Context) -> ExitCode:
    """Build if need be, run, follow, and show what came of it.

    Raises:
        CliError: The project has problems, nothing here can build or run it, or the inputs are
            wrong.
    """
    from gyoza.cli.extras import import_part

    import_part("worker")
    with tempfile.TemporaryDirectory(prefix="gyoza-sdk-") as scratch:
        definition, carry = _found(options, context, Path(scratch))
        order = _order(options, definition, context)
        return asyncio.run(_Run(order, context, carry).main())


def _found(options: LocalOptions, context: Context, scratch: Path) -> tuple[OpDefinition, Carry]:
    if options.path is None:
        return _in_image(str(options.image), context, None)
    project = read_project_of(options.path)
    if options.has_container:
        image = built(project, options.base, context)
        return _in_image(image, context, project)
    return _in_interpreter(project, context, scratch)


def read_project_of(path: Path) -> LocalProject:
    """Read a project.

    Raises:
        CliError: With each of its problems and their lines.
    """
    from gyoza.project import ProjectError
    from gyoza.testing.projects import read_local_project

    try:
        return read_local_project(path)
    except ProjectError as error:
        details = tuple(str(error).splitlines())
        message = f"{error.file} cannot be used"
        raise CliError(message, ExitCode.INVALID, details=details) from error


def built(project: LocalProject, base: str | None, context: Context) -> str:
    """Build a project's image for runs here and return its name.

    Raises:
        CliError: Nothing here can build, or the build failed.
    """
    from gyoza.cli.image_builds import ShownBuild
    from gyoza.project.engine_build import BuildError, NoBuilder
    from gyoza.testing.projects import build_local

    shown = ShownBuild(context.output, has_steps=False)
    try:
        image = build_local(project, context.environment, shown, context.monotonic, base=base)
    except NoBuilder as error:
        hint = "--no-container runs it in your own interpreter"
        raise CliError(str(error), ExitCode.UNAVAILABLE, hint=hint) from error
    except BuildError as error:
        raise CliError(str(error), ExitCode.INVALID, hint=error.hint) from error
    return image.reference


def _in_image(
    image: str, context: Context, project: LocalProject | None
) -> tuple[OpDefinition, Carry]:
    from gyoza.cli.engine_images import (
        EngineUnreachable,
        ImageUnknown,
        engine_address,
        inspect_image,
    )
    from gyoza.testing.container import in_container
    from gyoza.testing.ops import definition_of

    address = engine_address(context.environment)
    try:
        labels: Mapping[str, str] = inspect_image(address, image).labels
    except EngineUnreachable as error:
        raise CliError(str(error), ExitCode.UNAVAILABLE, hint=_NO_ENGINE) from error
    except ImageUnknown:
        labels = {}
    if project is None:
        definition = definition_of(image, labels, now=context.now())
    else:
        definition = defined(project, image, labels, context)

    async def carry(order: Order, watcher: Watcher, on_attempt: OnAttempt) -> RunResult:
        return await in_container(order, address, watcher=watcher, on_attempt=on_attempt)

    return definition, carry


def defined(
    project: LocalProject, image: str, labels: Mapping[str, str], context: Context
) -> OpDefinition:
    """Return the definition of a project's op.

    Raises:
        CliError: File and code contradict each other.
    """
    from gyoza.project import ProjectError

    try:
        return project.definition(image, labels, now=context.now())
    except ProjectError as error:
        details = tuple(str(error).splitlines())
        message = "gyoza.yml and the code contradict each other"
        raise CliError(message, ExitCode.INVALID, details=details) from error


def _in_interpreter(
    project: LocalProject, context: Context, scratch: Path
) -> tuple[OpDefinition, Carry]:
    from gyoza.testing.process import in_process
    from gyoza.testing.projects import (
        CodeRefused,
        find_python,
        labels_by_code,
        python_command,
        python_environment,
    )

    python = find_python(project.folder, context.environment)
    environment = python_environment(context.environment, scratch)
    try:
        command = python_command(project, python)
        labels = labels_by_code(command, project.folder, environment)
    except CodeRefused as error:
        raise CliError(error.message, ExitCode.INVALID, details=error.lines) from error
    context.output.hint(f"in {python}, without a container: no limits, no isolation")

    async def carry(order: Order, watcher: Watcher, on_attempt: OnAttempt) -> RunResult:
        place = (project.folder, environment)
        return await in_process(order, command, place, watcher=watcher, on_attempt=on_attempt)

    return defined(project, project.tag, labels, context), carry


def _order(options: LocalOptions, definition: OpDefinition, context: Context) -> Order:
    from gyoza.cli.inputs import parse_inputs
    from gyoza.models.ids import new_id
    from gyoza.testing.attempts import Order
    from gyoza.testing.local_files import LocalFiles
    from gyoza.testing.ops import input_problems

    files = LocalFiles()
    specs = definition.input_specs
    given = parse_inputs(
        options.inputs,
        options.input_file,
        specs.specs,
        stdin=context.streams.stdin,
        upload=files.upload,
    )
    inputs = files.prepared(given, specs)
    problems = input_problems(definition, inputs)
    if problems:
        details = tuple(f"/inputs{pointer}: {message}" for pointer, message in problems)
        raise CliError("the inputs are not acceptable", ExitCode.INVALID, details=details)
    run_id = new_id("run", now=context.now())
    return Order(
        run_id=run_id,
        definition=definition,
        inputs=definition.prepare_inputs(inputs),
        files=files.paths,
        folder=options.folder or Path(_OUTPUTS) / f"{definition.id}-{run_id[-8:]}",
    )


class _Run:
    """Follows one run to its end; the first Ctrl-C asks it to end, the second kills it."""

    def __init__(self, order: Order, context: Context, carry: Carry) -> None:
        self._order = order
        self._context = context
        self._carry = carry
        self._view = LocalView(order, context)
        self._attempt: LocalAttempt | None = None
        self._presses = 0

    async def main(self) -> ExitCode:
        from gyoza.testing.engine import EngineUnreachable

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._press)
        loop.add_signal_handler(signal.SIGTERM, self._press)
        timeout = self._context.options.timeout
        timer = None if timeout is None else loop.call_later(timeout, self._time_is_up)
        try:
            with self._view:
                result = await self._carry(self._order, self._view, self._begin)
        except EngineUnreachable as error:
            raise CliError(str(error), ExitCode.UNAVAILABLE, hint=_NO_ENGINE) from error
        finally:
            if timer is not None:
                timer.cancel()
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
        return show_end(result, self._order, self._context)

    def _begin(self, attempt: LocalAttempt) -> None:
        self._attempt = attempt

    def _press(self) -> None:
        self._presses += 1
        if self._attempt is None:
            return
        if self._presses == 1:
            self._context.output.hint("asked to end; Ctrl-C again kills it")
            self._attempt.cancel(_PERSON)
        else:
            self._attempt.stop_now()

    def _time_is_up(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel(f"--timeout {self._context.options.timeout:g} is over")

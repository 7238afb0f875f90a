"""Building an op's image for a person who watches: for `gyoza build`, or a deploy that needs it."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.output import Output, duration

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.project.build_progress import Step
    from gyoza.project.build_source import BuildSource
    from gyoza.project.building import Request
    from gyoza.project.engine_build import Builder, BuiltImage, Engine

_STEP_WIDTH: Final = 64


@contextmanager
def build_errors() -> Generator[None]:
    """Turn what stops a build into the command's errors.

    Raises:
        CliError: The project has problems, nothing here can build, or the build failed.
    """
    from gyoza.project import ProjectError
    from gyoza.project.engine_build import BuildError, NoBuilder

    try:
        yield
    except ProjectError as error:
        raise CliError(
            f"{error.file} cannot be used",
            ExitCode.INVALID,
            details=tuple(str(error).splitlines()),
        ) from error
    except NoBuilder as error:
        raise CliError(str(error), ExitCode.UNAVAILABLE, hint=error.hint) from error
    except BuildError as error:
        raise CliError(str(error), ExitCode.INVALID, hint=error.hint) from error


def base_of(source: BuildSource, flag: str | None, context: Context) -> str | None:
    """Return the base image; None leaves it to the project's own Dockerfile."""
    from gyoza.project.base_images import choose_base

    if source.dockerfile is not None:
        return flag
    return choose_base(flag, source.settings, context.environment)


def tag_of(source: BuildSource) -> str:
    """Return the name of a project's image: its own, else `id:version`."""
    # A tag takes fewer characters than a version: the grammar of distribution/reference.
    version = re.sub(r"[^A-Za-z0-9_.-]", "-", source.version)[:128]
    return source.image or f"{source.id}:{version}"


def build_image(request: Request, builder: Builder | None, context: Context) -> BuiltImage:
    """Build an image and tell how it goes on.

    Args:
        request: What to build.
        builder: Only with this one; None takes either.
        context: Where to tell it.

    Raises:
        NoBuilder: Nothing here can build.
        BuildError: The build failed.
        ProjectError: File and code contradict each other.
    """
    from gyoza.project.building import build
    from gyoza.project.engine_build import find_engine

    engine, output = find_engine(context.environment, builder), context.output
    output.hint(_heading(request, engine))
    dependencies = request.source.dependencies
    if not dependencies.is_locked:
        name = dependencies.source.value
        output.hint(f"  {name} is no lock file: versions are chosen anew when the layer is built")
    return build(request, engine, ShownBuild(output), context.monotonic)


def _heading(request: Request, engine: Engine) -> str:
    own = request.source.dockerfile is not None
    how = "by its own Dockerfile" if own else f"on {request.base}"
    return f"Building {request.tag} {how}, with {engine.builder.value} of {engine.program}"


@dataclass(frozen=True, slots=True)
class ShownBuild:
    """Tells a person how a build goes on.

    Attributes:
        output: Where to.
        has_steps: Whether each instruction gets a line; stages get one in any case.
    """

    output: Output
    has_steps: bool = True

    def step(self, step: Step) -> None:
        """Show an instruction."""
        if not self.has_steps:
            return
        text = step.text
        if len(text) > _STEP_WIDTH:
            text = f"{text[: _STEP_WIDTH - 1]}…"
        took = "cached" if step.is_cached else duration(step.seconds)
        self.output.hint(f"  {text:<{_STEP_WIDTH}}  {took:>8}")

    def stage(self, name: str, seconds: float, detail: str) -> None:
        """Show a stage."""
        self.output.hint(f"{name:<5}  {duration(seconds):>8}  {detail}")

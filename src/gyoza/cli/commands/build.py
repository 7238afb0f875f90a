"""`gyoza build`: an image of an op's project, without a Dockerfile or by the project's own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of
from gyoza.cli.output import duration

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.project.build_source import BuildSource
    from gyoza.project.engine_build import Builder, BuiltImage

_MEGABYTE: Final = 1_000_000


class Choice(Enum):
    """Values of `--builder`."""

    AUTO = "auto"
    BUILDKIT = "buildkit"
    CLASSIC = "classic"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        path: A project's folder, its `gyoza.yml`, or a single Python file.
        tag: Name of the image; None is the file's, else `id:version`.
        base: Base image; None is the project's, the machine's or the public one.
        builder: Which builder.
        uses_cache: Whether steps of earlier builds count.
        pushes: Whether the image is pushed.
        prints_dockerfile: Whether the Dockerfile is printed, and nothing built.
    """

    path: Path
    tag: str | None = None
    base: str | None = None
    builder: Choice = Choice.AUTO
    uses_cache: bool = True
    pushes: bool = False
    prints_dockerfile: bool = False


def command(
    ctx: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder with a gyoza.yml, or a Python file.")
    ] = Path(),
    *,
    tag: Annotated[str | None, typer.Option("--tag", "-t", help="Default ID:VERSION.")] = None,
    base: Annotated[str | None, typer.Option(metavar="IMAGE", help="Image to build on.")] = None,
    builder: Annotated[Choice, typer.Option(help="auto (the default), buildkit or classic.")] = (
        Choice.AUTO
    ),
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build every layer anew.")] = False,
    push: Annotated[bool, typer.Option("--push", help="Push the image at the end.")] = False,
    print_dockerfile: Annotated[
        bool, typer.Option("--print-dockerfile", help="Print it, and build nothing.")
    ] = False,
) -> int:
    """Build an op's image, with its spec in a label."""
    options = Options(path, tag, base, builder, not no_cache, push, print_dockerfile)
    return run(options, context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Read the project, build its image and say what it has become.

    Raises:
        CliError: The project has problems, nothing here can build, or the build failed.
    """
    from gyoza.cli.image_builds import base_of, build_errors
    from gyoza.project.build_source import read_build_source

    with build_errors():
        source = read_build_source(options.path)
        base = base_of(source, options.base, context)
        if options.prints_dockerfile:
            return _print_dockerfile(options, source, base, context)
        return _build(options, source, base, context)


def _print_dockerfile(
    options: Options, source: BuildSource, base: str | None, context: Context
) -> ExitCode:
    from gyoza.project.building import dockerfile_of
    from gyoza.project.engine_build import Builder

    wanted = _wanted(options.builder) or Builder.BUILDKIT
    context.output.raw(dockerfile_of(source, base, wanted))
    return ExitCode.OK


def _build(options: Options, source: BuildSource, base: str | None, context: Context) -> ExitCode:
    from gyoza.cli.image_builds import build_image, tag_of
    from gyoza.project.building import Request

    tag = options.tag or tag_of(source)
    request = Request(source, base, tag, options.uses_cache, options.pushes)
    began = context.monotonic()
    image = build_image(request, _wanted(options.builder), context)
    _show(image, context.monotonic() - began, options, context)
    return ExitCode.OK


def _wanted(choice: Choice) -> Builder | None:
    from gyoza.project.engine_build import Builder

    return None if choice is Choice.AUTO else Builder(choice.value)


def _show(image: BuiltImage, seconds: float, options: Options, context: Context) -> None:
    output = context.output
    if output.as_json:
        output.json(
            {
                "image": image.reference,
                "image_id": image.image_id,
                "digest": image.digest,
                "size_bytes": image.size_bytes,
                "seconds": round(seconds, 3),
            }
        )
    elif output.quiet:
        output.data(image.image_id)
    else:
        output.data(f"{image.reference}  {image.digest or image.image_id}")
        output.hint(f"{_size(image.size_bytes)} in {duration(seconds)}")
        output.hint(f"next: gyoza deploy {options.path}{_named(options, image)}")


def _named(options: Options, image: BuiltImage) -> str:
    # Without the same base, deploy would take the image for one of another source.
    base = f" --base {options.base}" if options.base else ""
    return f" --image {image.reference}" if options.tag else base


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MEGABYTE:.1f} MB"

"""`gyoza init`: a new op project that builds, passes its own test and runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.project.scaffold import NewProject


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        folder: Where the project goes.
        template: Which one.
        name: Of the op; None is made of the folder's.
    """

    folder: Path
    template: str = "hello"
    name: str | None = None


def command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where; made when it is not there.")
    ] = Path(),
    template: Annotated[
        str,
        typer.Option(
            "--template",
            "-t",
            metavar="NAME",
            help="hello, class-model, image, geo-raster, shell or single-file.",
        ),
    ] = "hello",
    name: Annotated[str | None, typer.Option(help="Of the op; default the folder's.")] = None,
) -> int:
    """Write a new op project."""
    return run(Options(folder, template, name), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Write the project and say what to do with it.

    Raises:
        CliError: No such template, no possible name, or files are in the way.
    """
    from gyoza.project.scaffold import TEMPLATES, FilesExist, op_name, write_project

    if options.template not in TEMPLATES:
        names = ", ".join(TEMPLATES)
        raise CliError(f"there is no template {options.template}, only {names}")
    try:
        name = op_name(options.name or options.folder.resolve().name)
        project = write_project(options.folder, options.template, name)
    except ValueError as error:
        raise CliError(str(error), hint="name the op with --name") from error
    except FilesExist as error:
        hint = "choose another folder: gyoza init DIR"
        raise CliError(str(error), ExitCode.CONFLICT, hint=hint) from error
    _show(project, name, options.template, context)
    return ExitCode.OK


def _show(project: NewProject, name: str, template: str, context: Context) -> None:
    output = context.output
    if output.as_json:
        files = [str(project.folder / path) for path in project.files]
        output.json({"op": name, "template": template, "files": files})
        return
    if output.quiet:
        output.data(name)
        return
    output.data(f"{project.folder}/")
    for position, path in enumerate(project.files, start=1):
        branch = "└──" if position == len(project.files) else "├──"
        output.data(f"{branch} {path}")
    output.hint("next:")
    if project.folder != Path():
        output.hint(f"  cd {shlex.quote(str(project.folder))}")
    output.hint(f"  {project.test}")
    output.hint(f"  gyoza build {project.built.relative_to(project.folder)}")

"""`gyoza deploy`: a project, and an image built of it if need be, become a version of an op."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.client import GyozaClient
    from gyoza.models import OpDefinition
    from gyoza.project import Project
    from gyoza.project.image_choice import Wish


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        path: A `gyoza.yml`, the folder of one, or a single Python file.
        image: Instead of the project's; then nothing is built.
        version: Instead of the project's.
        base: Image to build on, instead of the project's.
        builds: Whether to build; None builds when the image is missing or older than its source.
        pushes: Whether the image is pushed.
        dry_run: Only show what would change.
        exit_code: Whether a dry run that would change something ends with 20.
    """

    path: Path
    image: str | None = None
    version: str | None = None
    base: str | None = None
    builds: bool | None = None
    pushes: bool = False
    dry_run: bool = False
    exit_code: bool = False


def command(
    ctx: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder with a gyoza.yml, or a Python file.")
    ] = Path(),
    *,
    image: Annotated[str | None, typer.Option(help="Image; then nothing is built.")] = None,
    version: Annotated[str | None, typer.Option(help="Version; default the project's.")] = None,
    base: Annotated[str | None, typer.Option(metavar="IMAGE", help="Image to build on.")] = None,
    build: Annotated[
        bool | None,
        typer.Option(
            "--build/--no-build", help="Default: build what is missing or older than its source."
        ),
    ] = None,
    push: Annotated[bool, typer.Option("--push", help="Push the image to its registry.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Register nothing.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --dry-run: 20 when something would change.")
    ] = False,
) -> int:
    """Build an op's image if need be, and register it as a version."""
    options = Options(path, image, version, base, build, push, dry_run, exit_code)
    return run(options, context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Read the project, get its image, show the difference and register the definition.

    Raises:
        CliError: The project has problems, its image cannot be had, or the server refuses.
    """
    from gyoza.cli.deploy_views import Plan, show_deployed, show_plan

    if options.exit_code and not options.dry_run:
        raise CliError("--exit-code belongs to --dry-run", ExitCode.USAGE)
    with context.client() as client:
        op, project = _definition(options, context, client)
        current = _find(client, op.id)
        plan = Plan(current, op, comes_back=_comes_back(client, current, op))
        registered = _register(client, op, project, dry_run=options.dry_run)
    if not options.dry_run:
        show_deployed(replace(plan, new=registered), context.output)
        return ExitCode.OK
    show_plan(plan, context.output)
    would = options.exit_code and plan.changes_anything
    return ExitCode.WOULD_CHANGE if would else ExitCode.OK


def _definition(
    options: Options, context: Context, client: GyozaClient
) -> tuple[OpDefinition, Project]:
    from gyoza.cli.deploy_images import Wanted, image_of
    from gyoza.cli.image_builds import build_errors
    from gyoza.project import read_project
    from gyoza.project.image_spec import completed

    with build_errors():
        project = read_project(options.path)
        if options.version is not None:
            project = replace(project, version=options.version)

        def refuse_replacing(digest: str) -> None:
            known = _find(client, project.id, project.version)
            if known is not None and known.image_digest == digest:
                raise _taken(
                    project,
                    f"{known.id} {known.version} is registered, and its source has changed since",
                    ("a registered version never changes; nothing was built",),
                )

        wanted = Wanted(
            options.image, _wish(options), options.base, options.pushes, options.dry_run
        )
        image = image_of(project, wanted, context, refuse_replacing)
        whole = completed(project, image.labels)
        op = whole.definition(image=image.reference, image_digest=image.digest, now=context.now())
        return op, project


def _wish(options: Options) -> Wish:
    from gyoza.project.image_choice import Wish

    if options.builds is None:
        return Wish.AS_NEEDED
    return Wish.BUILD if options.builds else Wish.NO_BUILD


def _register(
    client: GyozaClient, op: OpDefinition, project: Project, *, dry_run: bool
) -> OpDefinition:
    from gyoza.client.errors import Conflict
    from gyoza.project.changes import changes_in_words
    from gyoza.project.compatibility import breaking_changes

    try:
        return client.upsert_definition(op, dry_run=dry_run)
    except Conflict as error:
        known = _find(client, op.id, op.version)
        if known is None:
            raise
        differences = tuple(str(change) for change in changes_in_words(known, op))
        is_breaking = bool(breaking_changes(known, op))
        raise _taken(project, error.message, differences, is_breaking=is_breaking) from error


def _taken(
    project: Project, message: str, details: tuple[str, ...], *, is_breaking: bool = False
) -> CliError:
    """Return the refusal of a version that stands for other content, with the way out."""
    from gyoza.project.compatibility import next_version

    version = next_version(project.version, is_breaking=is_breaking)
    line = project.line_of("version")
    place = f"{project.file}:{line}" if line else str(project.file)
    hint = f"raise `version` in {place}, or pass --version {version}"
    return CliError(message, ExitCode.CONFLICT, details=details, hint=hint)


def _find(client: GyozaClient, op_id: str, version: str | None = None) -> OpDefinition | None:
    from gyoza.client.errors import NotFound

    try:
        return client.get_definition(op_id, version)
    except NotFound:
        return None


def _comes_back(client: GyozaClient, current: OpDefinition | None, op: OpDefinition) -> bool:
    """Return whether an archived op comes back by a version that is there already."""
    if current is None or current.version != op.version:
        return False
    return all(listed.id != op.id for listed in client.list_definitions())

"""`gyoza deploy`: an image and its `gyoza.yml` become a version of an op."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.engine_images import LocalImage
    from gyoza.client import GyozaClient
    from gyoza.models import OpDefinition
    from gyoza.project import Project

_TIMES = ("createdAt", "updatedAt")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        path: A `gyoza.yml`, or the folder of one.
        image: Instead of the file's.
        version: Instead of the file's.
        dry_run: Only show what would change.
    """

    path: Path
    image: str | None = None
    version: str | None = None
    dry_run: bool = False


def command(
    ctx: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder with a gyoza.yml, or the file.")
    ] = Path(),
    image: Annotated[str | None, typer.Option(help="Image; default the file's.")] = None,
    version: Annotated[str | None, typer.Option(help="Version; default the file's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what changes.")] = False,
) -> int:
    """Register an image and its gyoza.yml as a version of an op."""
    return run(Options(path, image, version, dry_run), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Read the project, resolve the image's digest and register the definition.

    Raises:
        CliError: The project file has problems; each with its line.
    """
    op = _definition(options, context)
    with context.client() as client:
        if options.dry_run:
            _show_changes(op, _current(client, op.id), context)
            return ExitCode.OK
        registered = _register(client, op)
    output = context.output
    if output.as_json:
        output.json(registered.to_dict())
    elif output.quiet:
        output.data(registered.id)
    else:
        output.data(f"{registered.id} {registered.version} is deployed")
        output.hint(_how_to_run(registered))
    return ExitCode.OK


def _definition(options: Options, context: Context) -> OpDefinition:
    from gyoza.project import ProjectError, read_project
    from gyoza.project.image_spec import completed

    try:
        project: Project = read_project(options.path)
        image = options.image or project.image
        found = None if image is None else _local_image(image, context)
        if found is not None:
            project = completed(project, found.labels)
        return project.definition(
            image=image,
            version=options.version,
            image_digest=None if found is None else found.digest,
            now=context.now(),
        )
    except ProjectError as error:
        raise CliError(
            f"{error.file} cannot be used",
            ExitCode.INVALID,
            details=tuple(str(error).splitlines()),
        ) from error


def _local_image(image: str, context: Context) -> LocalImage | None:
    from gyoza.cli.engine_images import (
        EngineUnreachable,
        ImageUnknown,
        engine_address,
        inspect_image,
    )

    try:
        found = inspect_image(engine_address(context.environment), image)
    except EngineUnreachable as error:
        context.output.hint(f"no container engine answers ({error}): the tag is kept as it is")
        return None
    except ImageUnknown:
        context.output.hint(f"{image} is not on this machine: the tag is kept as it is")
        return None
    if found.is_local_only:
        context.output.hint(f"{image} is in no registry: only workers on this machine have it")
    return found


def _register(client: GyozaClient, op: OpDefinition) -> OpDefinition:
    from gyoza.client.errors import Conflict

    try:
        return client.upsert_definition(op)
    except Conflict as error:
        raise CliError(
            error.message, ExitCode.CONFLICT, hint="raise `version` in gyoza.yml, or pass --version"
        ) from error


def _current(client: GyozaClient, op_id: str) -> OpDefinition | None:
    from gyoza.client.errors import NotFound

    try:
        return client.get_definition(op_id)
    except NotFound:
        return None


def _show_changes(op: OpDefinition, current: OpDefinition | None, context: Context) -> None:
    new = _flat(op.to_dict())
    old = {} if current is None else _flat(current.to_dict())
    changes = [
        (mark, name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if (mark := _mark(name, old, new))
    ]
    if context.output.as_json:
        items = [{"field": n, "before": before, "after": after} for _, n, before, after in changes]
        context.output.json({"op": op.id, "changes": items})
        return
    for mark, name, before, after in changes:
        arrow = f"{_json(before)} -> {_json(after)}" if mark == "~" else _json(after or before)
        context.output.data(f"{mark} {name}: {arrow}")
    if not changes:
        context.output.hint("nothing would change")


def _mark(name: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    if name not in old:
        return "+"
    if name not in new:
        return "-"
    return "" if old[name] == new[name] else "~"


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if name in _TIMES:
            continue
        if isinstance(item, dict) and item:
            flat.update(_flat(item, f"{prefix}{name}."))  # pyright: ignore[reportUnknownArgumentType]
        else:
            flat[prefix + name] = item
    return flat


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _how_to_run(op: OpDefinition) -> str:
    needed = [name for name, spec in op.input_specs.specs.items() if spec.required]
    words = "".join(f" -i {name}=..." for name in needed)
    return f"run it: gyoza run {op.id}{words}"

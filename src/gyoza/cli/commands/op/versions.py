"""`gyoza op versions`: what was registered of an op, and which of it is current."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.models import OpDefinition

_COLUMNS = ("VERSION", "CURRENT", "IMAGE", "DIGEST", "BREAKS", "AGE>")
_DIGEST_CHARS = len("sha256:") + 12


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        op: Op id.
        all: Whether versions that `gyoza dev` made are listed too.
    """

    op: str
    all: bool = False


def command(
    ctx: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="Op id.")],
    *,
    show_all: Annotated[
        bool, typer.Option("--all", "-a", help="Those that `gyoza dev` made, too.")
    ] = False,
) -> int:
    """List the versions of an op."""
    return run(Options(op, show_all), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the versions, newest first."""
    from gyoza.cli.op_lookup import find_op
    from gyoza.project.development import is_development

    output = context.output
    with context.client() as client:
        current = find_op(client, options.op, None)
        known = client.list_versions(current.id)
    # One for each save of an afternoon; the current one is of interest whatever made it.
    versions = [
        op
        for op in known
        if options.all or op.version == current.version or not is_development(op.version)
    ]
    if output.as_json:
        items = [{**op.to_dict(), "current": op.version == current.version} for op in versions]
        output.json({"items": items, "next_page_token": ""})
    elif output.quiet:
        for op in versions:
            output.data(op.version)
    else:
        older = [*versions[1:], None]
        rows = [
            _row(op, before, current, context) for op, before in zip(versions, older, strict=True)
        ]
        output.table(_COLUMNS, rows)
        if len(known) > len(versions):
            output.hint(f"{len(known) - len(versions)} more of development; --all lists them")
    return ExitCode.OK


def _row(
    op: OpDefinition, before: OpDefinition | None, current: OpDefinition, context: Context
) -> tuple[str, ...]:
    from gyoza.cli.output import age
    from gyoza.project.compatibility import breaking_changes

    broken = [] if before is None else breaking_changes(before, op)
    return (
        op.version,
        "yes" if op.version == current.version else "",
        op.image,
        (op.image_digest or "").rpartition("@")[2][:_DIGEST_CHARS],
        ", ".join(dict.fromkeys(each.place for each in broken)),
        age(op.created_at, context.now()),
    )

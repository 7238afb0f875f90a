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
    """

    op: str


def command(
    ctx: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="Op id.")],
) -> int:
    """List the versions of an op."""
    return run(Options(op), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the versions, newest first."""
    from gyoza.cli.op_lookup import find_op

    output = context.output
    with context.client() as client:
        current = find_op(client, options.op, None)
        versions = client.list_versions(current.id)
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

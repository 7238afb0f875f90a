"""`gyoza op list`: the registered ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.models import OpDefinition
    from gyoza.wire.messages import LimitsView

_COLUMNS = ("OP", "VERSION", "IMAGE", "INPUTS", "NEEDS", "AT WORK", "AGE>")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        archived: Archived ops too.
    """

    archived: bool = False


def command(
    ctx: typer.Context,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ops too.")] = False,
) -> int:
    """List the registered ops."""
    return run(Options(archived), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the ops."""
    output = context.output
    with context.client() as client:
        ops = client.list_definitions(archived=options.archived)
        is_table = not (output.as_json or output.quiet)
        limits = {each.op: each for each in client.list_op_limits()} if is_table else {}
    if output.as_json:
        output.json({"items": [op.to_dict() for op in ops], "next_page_token": ""})
    elif output.quiet:
        for op in ops:
            output.data(op.id)
    else:
        output.table(_COLUMNS, [_row(op, limits.get(op.id), context) for op in ops])
        if not ops:
            output.hint("no ops yet; `gyoza deploy PATH` registers one")
    return ExitCode.OK


def _row(op: OpDefinition, limits: LimitsView | None, context: Context) -> tuple[str, ...]:
    from gyoza.cli.limit_views import limits_text
    from gyoza.cli.output import age

    needs = [f"{value} {name}" for name, value in op.constraints.to_dict().items() if value]
    return (
        op.id,
        op.version,
        op.image,
        ", ".join(op.input_specs.specs),
        ", ".join(needs),
        "" if limits is None else limits_text(limits),
        age(op.created_at, context.now()),
    )

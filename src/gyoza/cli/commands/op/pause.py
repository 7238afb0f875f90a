"""`gyoza op pause`: nothing more of an op is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        ops: Op ids.
    """

    ops: tuple[str, ...]


def command(
    ctx: typer.Context,
    ops: Annotated[list[str], typer.Argument(metavar="OP...", help="Op ids.")],
) -> int:
    """Start no more runs of ops; what is at work goes on."""
    return run(Options(tuple(ops)), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Pause each; what cannot be is told, and the others still are."""
    import msgspec

    from gyoza.cli.several import each_of

    with context.client() as client:
        found, code = each_of(options.ops, client.pause_op, context)
    if context.output.as_json:
        context.output.json({"items": [msgspec.to_builtins(each) for each in found]})
        return code
    for each in found:
        context.output.data(
            each.op
            if context.output.quiet
            else f"{each.op} is paused: it takes runs and starts none"
        )
    return code

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
    from gyoza.cli.several import each_of, show_each

    with context.client() as client:
        found, code = each_of(options.ops, client.pause_op, context)
    show_each(
        found,
        context,
        name=lambda each: each.op,
        told=lambda each: f"{each.op} is paused: it takes runs and starts none",
    )
    return code

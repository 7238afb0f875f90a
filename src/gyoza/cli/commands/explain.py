"""`gyoza explain`: why a run waits and what would let it start, or how it went."""

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
        run: Id, beginning of one, or `@last`.
    """

    run: str


def command(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")],
) -> int:
    """Say why a run waits and what would let it start now, or how it went."""
    return run(Options(run_id), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Ask the server and show its answer."""
    from gyoza.cli.documents import given_id
    from gyoza.cli.explain_views import show

    output = context.output
    with context.client() as client:
        told = client.explain(given_id(options.run, context))
    if output.as_json:
        output.json(told)
    elif output.quiet:
        output.data(str(told["run_id"]))
    else:
        show(told, output, context.now())
    return ExitCode.OK

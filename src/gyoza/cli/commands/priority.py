"""`gyoza priority`: another priority for a run that is not over."""

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
        priority: 0 to 100, higher first.
    """

    run: str
    priority: int


def command(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")],
    priority: Annotated[
        int, typer.Argument(metavar="PRIORITY", help="Higher first.", min=0, max=100)
    ],
) -> int:
    """Give a waiting run another priority."""
    return run(Options(run_id, priority), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Change it."""
    from gyoza.cli.documents import run_document, whole_id

    output = context.output
    with context.client() as client:
        run_id = whole_id(options.run, context, client)
        changed = client.update_run(run_id, priority=options.priority)
    if output.as_json:
        output.json(run_document(changed))
    elif output.quiet:
        output.data(changed.id)
    else:
        output.data(f"{changed.id} has priority {changed.priority}")
    return ExitCode.OK

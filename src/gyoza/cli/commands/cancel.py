"""`gyoza cancel`: ask for runs to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.models import OpRun


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        runs: Ids, beginnings of some, or `@last`.
        reason: Shown to people.
    """

    runs: tuple[str, ...]
    reason: str = ""


def command(
    ctx: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Run ids, their beginnings, or @last.")
    ],
    reason: Annotated[str, typer.Option(help="Shown to people.")] = "",
) -> int:
    """Ask for runs to end."""
    return run(Options(tuple(runs), reason), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Ask for each; what cannot be cancelled is told, and the others still are."""
    from gyoza.cli.documents import run_document, whole_id
    from gyoza.cli.several import each_of, show_each

    with context.client() as client:

        def cancel(word: str) -> OpRun:
            run_id = whole_id(word, context, client)
            return client.cancel_run(run_id, reason=options.reason)

        cancelled, code = each_of(options.runs, cancel, context)
    show_each(cancelled, context, name=lambda each: each.id, told=_told, document=run_document)
    return code


def _told(run: OpRun) -> str:
    if run.is_terminal:
        return f"{run.id} is {run.state.value}"
    return f"{run.id} was asked to stop; its worker ends it within its grace time"

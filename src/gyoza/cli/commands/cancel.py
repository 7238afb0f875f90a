"""`gyoza cancel`: ask for runs to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli import bulk
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
        selection: Runs by what they have in common instead.
    """

    runs: tuple[str, ...]
    reason: str = ""
    selection: bulk.Selection = field(default_factory=bulk.Selection)


def command(
    ctx: typer.Context,
    *,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN...", help="Run ids, their beginnings, or @last."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Shown to people.")] = "",
    state: bulk.States = None,
    op: bulk.Op = None,
    owner: bulk.Owner = None,
    worker: bulk.Worker = None,
    batch: bulk.Batch = None,
    tag: bulk.Tags = None,
    older_than: bulk.OlderThan = None,
    all: bulk.All = False,  # noqa: A002  the option's name
    dry_run: bulk.DryRun = False,
    yes: bulk.Yes = False,
) -> int:
    """Ask for runs to end, by their ids or all that match.

    Example: gyoza cancel --op tiles --state PENDING
    """
    selection = bulk.Selection(
        states=tuple(state or ()),
        op=op,
        owner=owner,
        worker=worker,
        batch=batch,
        tags=tuple(tag or ()),
        older_than=older_than,
        all=all,
        dry_run=dry_run,
        yes=yes,
    )
    return run(Options(tuple(runs or ()), reason, selection), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Ask for each; what cannot be cancelled is told, and the others still are."""
    from gyoza.cli.documents import run_document, whole_id
    from gyoza.cli.several import each_of, show_each

    bulk.refuse_both(options.selection, options.runs, "cancel")
    if not options.runs:
        return bulk.change_many("cancel", options.selection, context, options.reason)
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

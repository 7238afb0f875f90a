"""`gyoza retry`: a new attempt for an ended run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli import bulk
from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        run: Id, beginning of one, or `@last`; None with a selection.
        follow: Whether to follow the new attempt to its end.
        selection: Runs by what they have in common instead.
    """

    run: str | None
    follow: bool = False
    selection: bulk.Selection = field(default_factory=bulk.Selection)


def command(
    ctx: typer.Context,
    *,
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow it to its end.")] = False,
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
    """Give a failed or cancelled run a new attempt, or all that match.

    Example: gyoza retry --op tiles --tag night=2031-05-04
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
    return run(Options(run_id, follow, selection), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Ask for it, and follow it if that was asked too."""
    from gyoza.cli.documents import run_document, whole_id
    from gyoza.cli.endpoint import note_last_run
    from gyoza.cli.following import follow

    if options.run is None:
        return _many(options, context)
    bulk.refuse_both(options.selection, (options.run,), "retry")
    output = context.output
    with context.client() as client:
        retried = client.retry_run(whole_id(options.run, context, client))
        note_last_run(context.state_dir, retried.id, client.settings.base_url)
    if options.follow:
        return follow(retried, context)
    if output.as_json:
        output.json(run_document(retried))
    elif output.quiet:
        output.data(retried.id)
    else:
        number = retried.current_attempt.attempt
        output.data(f"{retried.id} waits for attempt {number}; gyoza logs -f {retried.id}")
    return ExitCode.OK


def _many(options: Options, context: Context) -> ExitCode:
    from gyoza.cli.failures import CliError

    bulk.refuse_both(options.selection, (), "retry")
    if options.follow:
        raise CliError("--follow follows one run: leave it out, or name the run")
    return bulk.change_many("retry", options.selection, context)

"""`gyoza retry`: a new attempt for an ended run."""

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
        follow: Whether to follow the new attempt to its end.
    """

    run: str
    follow: bool = False


def command(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow it to its end.")] = False,
) -> int:
    """Give a failed or cancelled run a new attempt."""
    return run(Options(run_id, follow), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Ask for it, and follow it if that was asked too."""
    from gyoza.cli.documents import run_document, whole_id
    from gyoza.cli.endpoint import note_last_run
    from gyoza.cli.following import follow

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

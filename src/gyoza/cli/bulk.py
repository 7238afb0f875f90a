"""Cancelling and retrying many runs at once: counted and confirmed before anything is changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.output import counted

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.client import BulkSummary, GyozaClient, RunSelection


States: TypeAlias = Annotated[
    list[str] | None, typer.Option("--state", help="Only in this state; may be given again.")
]
Op: TypeAlias = Annotated[str | None, typer.Option("--op", help="Only of this op.")]
Owner: TypeAlias = Annotated[str | None, typer.Option("--owner", help="Only of this owner.")]
Worker: TypeAlias = Annotated[str | None, typer.Option("--worker", help="Only on this worker.")]
Batch: TypeAlias = Annotated[str | None, typer.Option("--batch", help="Only of this batch.")]
Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Only with this tag.")
]
OlderThan: TypeAlias = Annotated[
    str | None,
    typer.Option("--older-than", metavar="DURATION", help="Only submitted longer ago: 30m, 2d."),
]
All: TypeAlias = Annotated[bool, typer.Option("--all", help="Whatever can be.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs are meant, as it was typed.

    Attributes:
        states: In any of these states.
        op: Of this op.
        owner: Of this owner.
        worker: On this worker.
        batch: Of this batch.
        tags: `key=value` words.
        older_than: Submitted longer ago than this duration.
        all: Everything that the verb takes.
        dry_run: Only count.
        yes: Do not ask.
    """

    states: tuple[str, ...] = ()
    op: str | None = None
    owner: str | None = None
    worker: str | None = None
    batch: str | None = None
    tags: tuple[str, ...] = ()
    older_than: str | None = None
    all: bool = False
    dry_run: bool = False
    yes: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it was given."""
        return self == Selection(dry_run=self.dry_run, yes=self.yes)


def refuse_both(selection: Selection, names: tuple[str, ...], verb: str) -> None:
    """Refuse runs by id together with runs by what they have in common, and neither.

    Raises:
        CliError: Both, or neither.
    """
    if names and selection != Selection(yes=selection.yes):
        raise CliError(f"{verb} runs by their ids, or by options such as --op: not both at once")
    if not names and selection.is_empty:
        raise CliError(
            f"name the runs to {verb}, or what they have in common",
            hint=f"gyoza {verb} @last, gyoza {verb} --op OP --tag KEY=VALUE, or --all",
        )


def change_many(
    verb: Literal["cancel", "retry"], selection: Selection, context: Context, reason: str = ""
) -> ExitCode:
    """Count, ask, change, and tell.

    Raises:
        CliError: Nobody can be asked and `--yes` is missing.
    """
    wanted = _wanted(selection, context)
    output = context.output
    with context.client() as client:
        if selection.dry_run or not selection.yes:
            found = _change(client, verb, wanted, reason, dry_run=True)
            if selection.dry_run:
                _tell(f"{counted(found.matched, 'run')} would be {_PAST[verb]}", found, context)
                return ExitCode.OK
            if found.matched and not _agreed(verb, found.matched, context):
                output.hint("nothing was changed")
                return ExitCode.OK
        summary = _change(client, verb, wanted, reason, dry_run=False)
    _tell(_told(verb, summary), summary, context)
    return ExitCode.OK


_PAST = {"cancel": "cancelled", "retry": "retried"}


def _change(
    client: GyozaClient,
    verb: Literal["cancel", "retry"],
    wanted: RunSelection,
    reason: str,
    *,
    dry_run: bool,
) -> BulkSummary:
    if verb == "cancel":
        return client.cancel_runs(wanted, reason=reason, dry_run=dry_run)
    return client.retry_runs(wanted, dry_run=dry_run)


def _agreed(verb: str, count: int, context: Context) -> bool:
    stdin, stderr = context.streams.stdin, context.streams.stderr
    if not (context.output.is_terminal and stdin.isatty()):
        raise CliError(
            f"{counted(count, 'run')} would be {_PAST[verb]}, and there is nobody to ask",
            hint="add --yes, or look first with --dry-run",
        )
    stderr.write(f"{verb} {counted(count, 'run')}? [y/N] ")
    stderr.flush()
    return stdin.readline().strip().lower() in {"y", "yes"}


def _wanted(selection: Selection, context: Context) -> RunSelection:
    from gyoza.cli.moments import seconds_in
    from gyoza.cli.tags import parse_tags
    from gyoza.client import RunSelection

    before = None
    if selection.older_than is not None:
        age_s = seconds_in(selection.older_than, option="--older-than")
        before = context.now() - timedelta(seconds=age_s)
    return RunSelection(
        state=_states(selection),
        op=selection.op,
        owner=selection.owner,
        worker=selection.worker,
        batch=selection.batch,
        tags=parse_tags(selection.tags),
        created_before=before,
        all=selection.all,
    )


def _states(selection: Selection) -> tuple[str, ...]:
    from gyoza.models import OpRunState

    known = [state.value for state in OpRunState]
    for state in selection.states:
        if state.upper() not in known:
            raise CliError(f"{state} is no state; expected one of {', '.join(known)}")
    return tuple(state.upper() for state in selection.states)


def _told(verb: str, summary: BulkSummary) -> str:
    told = f"{_PAST[verb]} {counted(summary.done, 'run')}"
    if summary.asked:
        told += f"; asked the workers of {summary.asked} more to stop them"
    return told


def _tell(sentence: str, summary: BulkSummary, context: Context) -> None:
    if context.output.as_json:
        context.output.json(asdict(summary))
    else:
        context.output.data(sentence)

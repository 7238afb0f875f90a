"""`gyoza show`: everything about a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.waiting_views import Shown
    from gyoza.models import OpAttempt, OpRun

_SHOWN_EVENTS = 10
_SHOWN_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        run: Id, beginning of one, or `@last`.
        attempt: Whose events and outputs are shown; None is the current one's.
    """

    run: str
    attempt: int | None = None


def command(
    ctx: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or @last.")],
    attempt: Annotated[
        int | None, typer.Option(help="Attempt; default the current.", min=1)
    ] = None,
) -> int:
    """Show everything about a run."""
    return run(Options(run_id, attempt), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the run."""
    from gyoza.cli.documents import given_id
    from gyoza.cli.waiting_views import shown

    with context.client() as client:
        each = shown(client.get_run_document(given_id(options.run, context)))
    found = each.run
    if context.output.as_json:
        context.output.json(each.document)
    elif context.output.quiet:
        context.output.data(found.id)
    else:
        _print(each, _attempt(found, options.attempt), context)
    return ExitCode.OK


def _attempt(found: OpRun, number: int | None) -> OpAttempt:
    if number is None:
        return found.current_attempt
    if not 1 <= number <= len(found.attempts):
        had = len(found.attempts)
        raise CliError(f"run {found.id} has {had} attempts, none is {number}", ExitCode.NOT_FOUND)
    return found.attempts[number - 1]


def _print(each: Shown, attempt: OpAttempt, context: Context) -> None:
    from gyoza.cli.waiting_views import why_it_waits

    output, found = context.output, each.run
    output.pairs([*_facts(found, context), *_attempt_facts(attempt)])
    if each.waiting:
        output.data(f"\nWhy it waits: {why_it_waits(each, context.now())}")
    if len(found.attempts) > 1:
        output.data("\nAttempts")
        output.table(("ATTEMPT>", "STATE", "REASON", "WORKER", "EXIT>"), map(_row, found.attempts))
    _print_events(attempt, context)
    more = f"more: gyoza explain {found.id}" if each.waiting else f"logs: gyoza logs {found.id}"
    output.hint(f"\n{more}")


def _facts(found: OpRun, context: Context) -> list[tuple[str, str]]:
    from gyoza.cli.documents import op_name, why
    from gyoza.cli.output import age

    at = f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC"
    return [
        ("Run", found.id),
        ("State", context.output.state(found.state.value, found.phase)),
        ("Reason", why(found)),
        ("Op", op_name(found)),
        ("Image", found.image_digest or found.image),
        ("Priority", str(found.priority)),
        ("Tags", ", ".join(f"{key}={value}" for key, value in found.tags.items())),
        ("Submitted", f"{at} ({age(found.created_at, context.now())} ago)"),
        ("Inputs", _json(found.inputs)),
    ]


def _attempt_facts(attempt: OpAttempt) -> list[tuple[str, str]]:
    from gyoza.cli.output import duration

    summary = attempt.execution_summary
    spent = summary.duration_ms
    return [
        ("Attempt", str(attempt.attempt)),
        ("Progress", f"{attempt.progress}%"),
        ("Worker", summary.worker_id or ""),
        ("GPU", attempt.gpu_uuid or ""),
        ("Time", "" if spent is None else duration(spent / 1000)),
        ("Exit code", "" if attempt.exit_code is None else str(attempt.exit_code)),
        ("Outputs", _json(attempt.outputs)),
    ]


def _print_events(attempt: OpAttempt, context: Context) -> None:
    if not attempt.events:
        return
    context.output.data("\nEvents")
    for event in attempt.events[-_SHOWN_EVENTS:]:
        context.output.data(f"  {event.t:%H:%M:%S}  {event.type.value:<9}  {event.msg}".rstrip())


def _row(attempt: OpAttempt) -> tuple[str, ...]:
    return (
        str(attempt.attempt),
        attempt.state.value,
        attempt.reason or "",
        attempt.execution_summary.worker_id or "",
        "" if attempt.exit_code is None else str(attempt.exit_code),
    )


def _json(value: dict[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2) if value else ""
    hidden = len(text) - _SHOWN_CHARS
    # Whoever looks at a run wants its state on the screen, not a book that it was given.
    return text if hidden <= 0 else f"{text[:_SHOWN_CHARS]} ... ({hidden} more; --json has all)"

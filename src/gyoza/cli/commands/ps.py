"""`gyoza ps`: the runs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.cli.waiting_views import Shown

_COLUMNS = ("RUN", "OP", "STATE", "PROGRESS>", "PRIORITY>", "WORKER", "AGE>", "TIME>")
# What fits into eighty columns: a run's id takes thirty of them.
_NARROW_COLUMNS = ("RUN!", "STATE", "OP", "AGE>")
_WIDE = 120


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        all: Ended runs too.
        states: Only in these states; () follows `all`.
        op: Only of this op.
        tags: Only with these `key=value` tags.
        limit: Most runs shown.
    """

    all: bool = False
    states: tuple[str, ...] = ()
    op: str | None = None
    tags: tuple[str, ...] = ()
    limit: int = 50


def command(
    ctx: typer.Context,
    all: Annotated[bool, typer.Option("--all", "-a", help="Ended runs too.")] = False,  # noqa: A002  the option's name
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; may be given again.")
    ] = None,
    op: Annotated[str | None, typer.Option(help="Only of this op.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this tag.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most runs shown.", min=1)] = 50,
) -> int:
    """List runs: those that are not over, or all."""
    states = tuple(word.upper() for word in state or ())
    return run(Options(all, states, op, tuple(tag or ()), limit), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the runs."""
    from gyoza.cli.tags import parse_tags
    from gyoza.cli.waiting_views import shown

    output = context.output
    with context.client() as client:
        found = client.list_run_documents(
            state=_states(options), op=options.op, tags=parse_tags(options.tags)
        )
        documents = list(islice(found, options.limit))
    runs = [shown(document) for document in documents]
    if output.as_json:
        output.json({"items": [each.document for each in runs], "next_page_token": ""})
    elif output.quiet:
        for each in runs:
            output.data(each.run.id)
    else:
        _print(runs, context)
        if not runs:
            output.hint(_nothing(options))
    return ExitCode.OK


def _print(runs: list[Shown], context: Context) -> None:
    from gyoza.cli.waiting_views import reasons

    output = context.output
    if not output.is_terminal:
        rows = [(*_row(each, context), each.summary) for each in runs]
        output.table((*_COLUMNS, "WHY"), rows)
        return
    if output.width >= _WIDE:
        output.table(_COLUMNS, [_row(each, context) for each in runs])
    else:
        output.table(_NARROW_COLUMNS, [_narrow_row(each, context) for each in runs])
    reasons(runs, output)


def _states(options: Options) -> tuple[str, ...] | None:
    from gyoza.cli.failures import CliError
    from gyoza.models import OpRunState

    known = [state.value for state in OpRunState]
    for state in options.states:
        if state not in known:
            raise CliError(f"{state} is no state; expected one of {', '.join(known)}")
    return options.states or (None if options.all else ("PENDING", "ASSIGNED", "RUNNING"))


def _row(each: Shown, context: Context) -> tuple[str, ...]:
    from gyoza.cli.documents import op_name
    from gyoza.cli.output import age, duration

    run = each.run
    spent = run.execution_summary.duration_ms
    return (
        run.id,
        op_name(run),
        _state(each, context),
        f"{run.progress}%",
        str(run.priority),
        run.worker_id or "",
        age(run.created_at, context.now()),
        "" if spent is None else duration(spent / 1000),
    )


def _narrow_row(each: Shown, context: Context) -> tuple[str, ...]:
    from gyoza.cli.documents import op_name
    from gyoza.cli.output import age

    run = each.run
    progress = f" {run.progress}%" if run.state.value == "RUNNING" else ""
    return (
        run.id,
        _state(each, context) + progress,
        op_name(run),
        age(run.created_at, context.now()),
    )


def _state(each: Shown, context: Context) -> str:
    from gyoza.cli.waiting_views import word

    told = word(each, context.now())
    return context.output.state(each.run.state.value, told, never=each.is_stuck)


def _nothing(options: Options) -> str:
    if options.all or options.states:
        return "no such runs; `gyoza run OP` makes one"
    return "no runs under way; `gyoza ps --all` shows ended ones, `gyoza run OP` makes one"

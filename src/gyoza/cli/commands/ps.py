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
    from gyoza.models import OpRun

_COLUMNS = ("RUN", "OP", "STATE", "PROGRESS>", "PRIORITY>", "WORKER", "AGE>", "TIME>")


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
    from gyoza.cli.documents import run_document
    from gyoza.cli.tags import parse_tags

    output = context.output
    with context.client() as client:
        found = client.list_runs(
            state=_states(options), op=options.op, tags=parse_tags(options.tags)
        )
        runs = list(islice(found, options.limit))
    if output.as_json:
        output.json({"items": [run_document(each) for each in runs], "next_page_token": ""})
    elif output.quiet:
        for each in runs:
            output.data(each.id)
    else:
        output.table(_COLUMNS, [_row(each, context) for each in runs])
        if not runs:
            output.hint(_nothing(options))
    return ExitCode.OK


def _states(options: Options) -> tuple[str, ...] | None:
    from gyoza.cli.failures import CliError
    from gyoza.models import OpRunState

    known = [state.value for state in OpRunState]
    for state in options.states:
        if state not in known:
            raise CliError(f"{state} is no state; expected one of {', '.join(known)}")
    return options.states or (None if options.all else ("PENDING", "ASSIGNED", "RUNNING"))


def _row(each: OpRun, context: Context) -> tuple[str, ...]:
    from gyoza.cli.documents import op_name
    from gyoza.cli.output import age, duration

    spent = each.execution_summary.duration_ms
    return (
        each.id,
        op_name(each),
        context.output.state(each.state.value, each.reason or each.phase),
        f"{each.progress}%",
        str(each.priority),
        each.worker_id or "",
        age(each.created_at, context.now()),
        "" if spent is None else duration(spent / 1000),
    )


def _nothing(options: Options) -> str:
    if options.all or options.states:
        return "no such runs; `gyoza run OP` makes one"
    return "no runs under way; `gyoza ps --all` shows ended ones, `gyoza run OP` makes one"

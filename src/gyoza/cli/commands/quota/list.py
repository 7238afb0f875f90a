"""`gyoza quota list`: what owners may have, and have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context

_COLUMNS = ("OWNER", "WAITING>", "MOST WAITING>", "AT WORK>", "MOST AT WORK>")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to ask."""


def command(ctx: typer.Context) -> int:
    """List what owners may have, and have."""
    return run(Options(), context_of(ctx))


def run(_: Options, context: Context) -> ExitCode:
    """Show the owners with a quota of their own, and what holds for all others."""
    import msgspec

    from gyoza.cli.limit_views import figure

    output = context.output
    with context.client() as client:
        found = client.list_quotas()
    if output.as_json:
        output.json(msgspec.to_builtins(found))
    elif output.quiet:
        for each in found.items:
            output.data(each.owner)
    else:
        rows = [
            (
                each.owner,
                str(each.queued),
                figure(each.max_queued),
                str(each.active),
                figure(each.max_active),
            )
            for each in found.items
        ]
        usual = found.defaults
        others = ("(others)", "", figure(usual.max_queued), "", figure(usual.max_active))
        output.table(_COLUMNS, [*rows, others])
    return ExitCode.OK

"""`gyoza quota set`: what an owner may have waiting and at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        owner: Who submits.
        max_queued: Runs that may wait; None is the server's default.
        max_active: Attempts that may be at work at once; likewise.
    """

    owner: str
    max_queued: int | None = None
    max_active: int | None = None


def command(
    ctx: typer.Context,
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Who submits.")],
    max_queued: Annotated[
        int | None, typer.Option(metavar="N", help="Runs that may wait.", min=0)
    ] = None,
    max_active: Annotated[
        int | None, typer.Option(metavar="N", help="Runs that may be at work at once.", min=0)
    ] = None,
) -> int:
    """Limit what an owner may have waiting and at work."""
    return run(Options(owner, max_queued, max_active), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Set the quota, instead of any that the owner had.

    Raises:
        CliError: No figure is given.
    """
    import msgspec

    from gyoza.cli.limit_views import figure

    if options.max_queued is None and options.max_active is None:
        raise CliError(
            "say how many: --max-queued N, --max-active N or both",
            hint=f"`gyoza quota remove {options.owner}` leaves the owner to the defaults",
        )
    output = context.output
    with context.client() as client:
        found = client.put_quota(
            options.owner, max_queued=options.max_queued, max_active=options.max_active
        )
    if output.as_json:
        output.json(msgspec.to_builtins(found))
    elif output.quiet:
        output.data(found.owner)
    else:
        waiting = f"{found.queued} waiting (most: {figure(found.max_queued)})"
        active = f"{found.active} at work (most: {figure(found.max_active)})"
        output.data(f"{found.owner}: {waiting}, {active}")
    return ExitCode.OK

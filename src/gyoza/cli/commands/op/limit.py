"""`gyoza op limit`: how many runs of an op may be at work at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context

_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        op: Op id.
        most: How many at once; None takes the limit off.
    """

    op: str
    most: int | None


def command(
    ctx: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="Op id.")],
    most: Annotated[str, typer.Argument(metavar="MOST", help="How many at once, or none.")],
) -> int:
    """Set how many runs of an op may be at work at once."""
    return run(Options(op, _read(most)), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Set the limit, and say how many are at work."""
    import msgspec

    output = context.output
    with context.client() as client:
        found = client.limit_op(options.op, options.most)
    if output.as_json:
        output.json(msgspec.to_builtins(found))
    elif output.quiet:
        output.data(found.op)
    elif found.max_parallel is None:
        output.data(f"{found.op} has no limit; {found.at_work} at work")
    else:
        output.data(f"{found.op}: {found.at_work} of {found.max_parallel} at work")
    return ExitCode.OK


def _read(word: str) -> int | None:
    if word == _NONE:
        return None
    if not word.isdecimal():
        raise CliError(f"got {word!r}, expected how many may run at once, or `none`")
    return int(word)

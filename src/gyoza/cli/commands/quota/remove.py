"""`gyoza quota remove`: the server's defaults for owners again."""

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
        owners: Who submits.
    """

    owners: tuple[str, ...]


def command(
    ctx: typer.Context,
    owners: Annotated[list[str], typer.Argument(metavar="OWNER...", help="Who submits.")],
) -> int:
    """Leave owners to the server's defaults."""
    return run(Options(tuple(owners)), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Remove each quota; what cannot be is told, and the others still are."""
    from gyoza.cli.several import each_of, show_each

    with context.client() as client:

        def removed(owner: str) -> str:
            client.remove_quota(owner)
            return owner

        found, code = each_of(options.owners, removed, context)
    show_each(found, context, name=str, told="{} has the defaults again".format)
    return code

"""`gyoza op rollback`: an earlier version becomes the current one."""

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
        op: Op id.
        version: None is the one registered before the current one.
    """

    op: str
    version: str | None = None


def command(
    ctx: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="Op id.")],
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="Default the one before.")
    ] = None,
) -> int:
    """Make an earlier version of an op the current one."""
    return run(Options(op, version), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Roll back, and say from where to where.

    Raises:
        CliError: There is no such op or version.
    """
    from gyoza.cli.deploy_views import Plan, show_rollback
    from gyoza.cli.op_lookup import find_op

    with context.client() as client:
        before = find_op(client, options.op, None)
        if options.version is not None:
            find_op(client, options.op, options.version)
        after = client.roll_back_definition(before.id, options.version)
    show_rollback(Plan(before, after), context.output)
    return ExitCode.OK

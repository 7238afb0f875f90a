"""`gyoza worker resume`: work again for drained workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.wire.messages import WorkerView


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        workers: Ids or names.
    """

    workers: tuple[str, ...]


def command(
    ctx: typer.Context,
    workers: Annotated[list[str], typer.Argument(metavar="WORKER...", help="Ids or names.")],
) -> int:
    """Give drained workers work again."""
    return run(Options(tuple(workers)), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Resume each; what cannot be is told, and the others still are."""
    import msgspec

    from gyoza.cli.several import each_of

    with context.client() as client:
        found, code = each_of(options.workers, client.resume_worker, context)
    if context.output.as_json:
        context.output.json({"items": [msgspec.to_builtins(each) for each in found]})
        return code
    for each in found:
        context.output.data(each.id if context.output.quiet else _told(each))
    return code


def _told(worker: WorkerView) -> str:
    return f"{worker.name} gets work again"

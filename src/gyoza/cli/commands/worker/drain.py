"""`gyoza worker drain`: no new work for workers."""

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
    """Give workers no new work; what they hold goes on."""
    return run(Options(tuple(workers)), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Drain each; what cannot be is told, and the others still are."""
    from gyoza.cli.several import each_of, show_each

    with context.client() as client:
        found, code = each_of(options.workers, client.drain_worker, context)
    show_each(found, context, name=lambda each: each.id, told=_told)
    return code


def _told(worker: WorkerView) -> str:
    held = len(worker.runs)
    if held:
        return f"{worker.name} gets no new work; it still holds {held}"
    return f"{worker.name} gets no new work and holds nothing"

"""`gyoza worker remove`: forget workers that are gone."""

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
        workers: Ids or names.
    """

    workers: tuple[str, ...]


def command(
    ctx: typer.Context,
    workers: Annotated[list[str], typer.Argument(metavar="WORKER...", help="Ids or names.")],
) -> int:
    """Forget workers that hold nothing, or that are lost."""
    return run(Options(tuple(workers)), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Forget each; what cannot be forgotten is told, and the others still are."""
    from gyoza.cli.several import each_of

    with context.client() as client:

        def remove(word: str) -> str:
            worker_id = client.get_worker(word).id
            client.remove_worker(worker_id)
            return worker_id

        removed, code = each_of(options.workers, remove, context)
    if context.output.as_json:
        context.output.json({"items": [{"id": worker_id} for worker_id in removed]})
        return code
    for worker_id in removed:
        context.output.data(worker_id if context.output.quiet else f"{worker_id} is removed")
    return code

"""`gyoza worker resume`: work again for drained workers, or for GPUs in quarantine."""

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
        gpu: UUID of the GPU that is meant; None is the worker as a whole.
    """

    workers: tuple[str, ...]
    gpu: str | None = None


def command(
    ctx: typer.Context,
    workers: Annotated[list[str], typer.Argument(metavar="WORKER...", help="Ids or names.")],
    gpu: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="Only this GPU: end its quarantine, or forget it."),
    ] = None,
) -> int:
    """Give drained workers work again, or a GPU in quarantine."""
    return run(Options(tuple(workers), gpu), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Resume each; what cannot be is told, and the others still are."""
    from gyoza.cli.several import each_of, show_each

    with context.client() as client:

        def resume(word: str) -> WorkerView:
            return client.resume_worker(word, gpu=options.gpu)

        found, code = each_of(options.workers, resume, context)
    show_each(found, context, name=lambda each: each.id, told=lambda each: _told(each, options.gpu))
    return code


def _told(worker: WorkerView, uuid: str | None) -> str:
    if uuid is None:
        return f"{worker.name} gets work again"
    left = [gpu for gpu in worker.capacity.gpus if gpu.uuid == uuid]
    if not left:
        return f"{worker.name} has no {uuid} any more"
    if left[0].problem:
        return f"{uuid} of {worker.name} still gets no work: {left[0].problem}"
    return f"{uuid} of {worker.name} gets work again"

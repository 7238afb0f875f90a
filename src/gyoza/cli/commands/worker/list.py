"""`gyoza worker list`: the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.wire.messages import Gpu, WorkerView

_COLUMNS = ("WORKER", "STATE", "RUNS>", "CPU>", "RAM MB>", "GPUS", "TAGS", "SEEN>")


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing can be asked but the list."""


def command(ctx: typer.Context) -> int:
    """List the workers and what they have free."""
    return run(Options(), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the workers."""
    import msgspec

    del options
    output = context.output
    with context.client() as client:
        workers = client.list_workers()
    if output.as_json:
        items = [msgspec.to_builtins(worker) for worker in workers]
        output.json({"items": items, "next_page_token": ""})
    elif output.quiet:
        for worker in workers:
            output.data(worker.id)
    else:
        output.table(_COLUMNS, [_row(worker, context) for worker in workers])
        if not workers:
            output.hint("no workers; `gyoza worker start` makes this machine one")
    return ExitCode.OK


def _row(worker: WorkerView, context: Context) -> tuple[str, ...]:
    from gyoza.cli.output import age
    from gyoza.models.timestamps import parse_time

    taken = worker.reserved
    return (
        worker.name,
        f"{worker.state}: {worker.detail}" if worker.detail else worker.state,
        str(len(worker.runs)),
        f"{taken.get('cpu', 0)}/{worker.capacity.cpu}",
        f"{taken.get('ram_mb', 0)}/{worker.capacity.ram_mb}",
        ", ".join(_gpu(gpu) for gpu in worker.capacity.gpus),
        ", ".join(f"{key}={value}" for key, value in worker.tags.items()),
        age(parse_time(worker.last_seen_at), context.now()) if worker.last_seen_at else "",
    )


def _gpu(gpu: Gpu) -> str:
    words = f"{gpu.name or gpu.uuid} {gpu.vram_mb} MB"
    # The whole of it is in `gyoza worker show`.
    return f"{words} ({gpu.problem.partition(':')[0]})" if gpu.problem else words

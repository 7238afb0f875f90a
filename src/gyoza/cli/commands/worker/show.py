"""`gyoza worker show`: one worker, GPU by GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.loading import context_of

if TYPE_CHECKING:
    from gyoza.cli.context import Context
    from gyoza.wire.messages import Gpu, WorkerView

_GPU_COLUMNS = ("GPU>", "UUID", "NAME", "VRAM MB>", "RUNS MB>", "OTHERS MB>", "FREE MB>", "STATE")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked.

    Attributes:
        worker: Its id or name.
    """

    worker: str


def command(
    ctx: typer.Context,
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="Its id or name.")],
) -> int:
    """Show a worker: what it has, what is taken, and what is wrong with its GPUs."""
    return run(Options(worker), context_of(ctx))


def run(options: Options, context: Context) -> ExitCode:
    """Show the worker."""
    import msgspec

    output = context.output
    with context.client() as client:
        worker = client.get_worker(options.worker)
    if output.as_json:
        output.json(msgspec.to_builtins(worker))
    elif output.quiet:
        output.data(worker.id)
    else:
        _print(worker, context)
    return ExitCode.OK


def _print(worker: WorkerView, context: Context) -> None:
    from gyoza.cli.output import age
    from gyoza.models.timestamps import parse_time

    output, taken, has = context.output, worker.reserved, worker.capacity
    seen = parse_time(worker.last_seen_at) if worker.last_seen_at else None
    output.pairs(
        [
            ("Worker", worker.name),
            ("Id", worker.id),
            ("State", f"{worker.state}: {worker.detail}" if worker.detail else worker.state),
            ("Version", f"{worker.version}, {worker.runtime}"),
            ("CPU", f"{taken.get('cpu', 0)} of {has.cpu} taken"),
            ("RAM", f"{taken.get('ram_mb', 0)} of {has.ram_mb} MB taken"),
            ("Tags", ", ".join(f"{key}={value}" for key, value in worker.tags.items())),
            ("Runs", "\n".join(worker.runs)),
            ("Seen", f"{age(seen, context.now())} ago" if seen else ""),
        ]
    )
    if has.gpus:
        reserved: dict[str, int] = taken.get("gpus") or {}
        output.data("\nGPUs")
        output.table(_GPU_COLUMNS, [_row(gpu, reserved) for gpu in has.gpus])
        _hint(worker, context)


def _row(gpu: Gpu, reserved: dict[str, int]) -> tuple[str, ...]:
    runs_mb = reserved.get(gpu.uuid, 0)
    free_mb = 0 if gpu.problem else max(0, gpu.vram_mb - gpu.used_mb - runs_mb)
    figures: tuple[Any, ...] = (gpu.vram_mb, runs_mb, gpu.used_mb, free_mb)
    others = f"well; others: {gpu.used_basis}" if gpu.used_basis else "well"
    return (str(gpu.index), gpu.uuid, gpu.name, *map(str, figures), gpu.problem or others)


def _hint(worker: WorkerView, context: Context) -> None:
    sick = [gpu.uuid for gpu in worker.capacity.gpus if gpu.problem]
    if sick:
        again = f"gyoza worker resume {worker.name} --gpu {sick[0]}"
        context.output.hint(f"what is wrong gets no work; `{again}` once it is well")

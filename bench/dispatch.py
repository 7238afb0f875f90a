"""How long a freed place waits for its next run, and whether the depth of the queue changes it.

A real store on disk, the production dispatcher, no HTTP: a worker with room for one run, behind it
10, 100,000 and (with --million) 1,000,000 pending runs in 40 lanes. Measured is one tick: read the
snapshot, plan, write the assignment durably. Two cases, in turn: the next run of the queue, and a
run of top priority that was submitted a moment ago. The last line is the worst median in
milliseconds.

    just bench dispatch [--million] [--pairs N]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from random import Random

import structlog

from gyoza.models import Constraints, OpRun
from gyoza.models.ids import new_id
from gyoza.server.clock import SystemClock
from gyoza.server.loops.dispatcher import Dispatcher
from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from gyoza.server.use_cases import workers
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import Capacity, Register

LANES = 40
PORTION = 5_000
BOX = "wrk_box"


def main() -> None:
    """Measure each depth and print."""
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    depths = [10, 100_000, *([1_000_000] if arguments.million else [])]
    worst = 0.0
    for depth in depths:
        with tempfile.TemporaryDirectory() as folder:
            queued, urgent = asyncio.run(_measure(Path(folder), depth, arguments.pairs))
        print(_line(f"{depth:>9,} pending, next in line", queued))
        print(_line(f"{depth:>9,} pending, top priority", urgent))
        worst = max(worst, statistics.median(queued), statistics.median(urgent))
    print(f"worst median: {worst:.2f} ms")


async def _measure(folder: Path, depth: int, pairs: int) -> tuple[list[float], list[float]]:
    store = Store.open(folder / "gyoza.db", clock=SystemClock())
    settings = Settings(plan_window=10_000)
    try:
        await _prepare(store, settings, depth)
        dispatcher = Dispatcher(store, settings, SystemClock())
        await dispatcher.tick()
        queued, urgent = [], []
        for number in range(pairs):
            # One in for one out: the depth stays.
            await _submit(store, [_run(2_000_000 + number)])
            queued.append(await _freed_to_assigned(store, dispatcher))
            await _submit(store, [_run(1_000_000 + number, priority=100)])
            urgent.append(await _freed_to_assigned(store, dispatcher))
        return queued, urgent
    finally:
        store.close()


async def _prepare(store: Store, settings: Settings, depth: int) -> None:
    for start in range(0, depth, PORTION):
        await _submit(store, [_run(at) for at in range(start, min(depth, start + PORTION))])
    outside = Outside(settings, lambda kind, now: new_id(kind, now=now), Random(1))
    command = Register(
        worker_id=BOX,
        name="box",
        session_id="s",
        machine_id="m",
        boot_id="b",
        version="0",
        capacity=Capacity(cpu=1, ram_mb=65_536),
    )
    await store.write(lambda uow: workers.register_worker(uow, command, outside))


def _run(number: int, priority: int | None = None) -> OpRun:
    lane = number % LANES
    needs = Constraints(1, 256 + 8 * (lane % 10), None)
    return OpRun.create(
        "busybox",
        priority=lane % 4 if priority is None else priority,
        constraints=needs,
        now=SystemClock().now() - timedelta(seconds=1),
    )


async def _submit(store: Store, runs: list[OpRun]) -> None:
    await store.write(lambda uow: uow.runs.add(runs))


async def _freed_to_assigned(store: Store, dispatcher: Dispatcher) -> float:
    held = await store.read(lambda uow: uow.assignments.reserved_on(BOX))
    await store.write(
        lambda uow: uow.assignments.free_many([(each.run_id, each.fence) for each in held])
    )
    started = time.perf_counter()
    await dispatcher.tick()
    took_ms = (time.perf_counter() - started) * 1000
    assert await store.read(lambda uow: uow.assignments.reserved_on(BOX))
    return took_ms


def _line(name: str, durations_ms: list[float]) -> str:
    hundredths = statistics.quantiles(durations_ms, n=100)
    return f"{name:<36} p50 {hundredths[49]:7.2f} ms   p99 {hundredths[98]:7.2f} ms"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="also behind 1,000,000 runs")
    parser.add_argument("--pairs", type=int, default=60, help="measurements of each case")
    return parser.parse_args()


if __name__ == "__main__":
    main()

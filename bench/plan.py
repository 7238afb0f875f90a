"""What one plan costs: 10,000 pending runs on 100 and on 1,000 workers, of few and many shapes.

Each case is a fleet that is half full, once with room for a few hundred of the runs and once with
room for most. Measured is `plan(snapshot)` alone, the median of several; beside it a naive
first-fit planner on the same snapshot. Planning does nothing but compute, so it is the processor's
time that counts: the same on a machine that is busy with other work. The last line is the worst
median in milliseconds.

    just bench plan [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from bench.naive_planners import first_fit
from gyoza.server.scheduling.planner import Plan, plan
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)

NOW = datetime(2031, 5, 4, 9, tzinfo=UTC)
PENDING = 10_000
OWNERS = (None, "ann", "ben", "cat", "dan")
# Naive first-fit looks at every worker for every run: seconds. Its order of magnitude is enough.
NAIVE_ROUNDS = 1


@dataclass(frozen=True)
class Case:
    """One size of the problem; `spacious` has room for most of the runs."""

    workers: int
    shapes: int
    spacious: bool


CASES = [
    Case(workers, shapes, spacious)
    for workers in (100, 1_000)
    for shapes in (20, 100, 1_000)
    for spacious in (False, True)
]


def main() -> None:
    """Measure each case and print."""
    rounds = _arguments().rounds
    print("workers  shapes  room    placed      plan ms  placements/s  first-fit ms  ratio")
    worst = 0.0
    for case in CASES:
        snapshot = snapshot_of(case)
        plan_ms, made = median_ms(plan, snapshot, rounds)
        naive_ms, _ = median_ms(first_fit, snapshot, NAIVE_ROUNDS)
        worst = max(worst, plan_ms)
        per_s = len(made.placements) / plan_ms * 1000
        room = "much" if case.spacious else "little"
        print(
            f"{case.workers:>7,}  {case.shapes:>6,}  {room:<6}  {len(made.placements):>6,}"
            f"  {plan_ms:>11.1f}  {per_s:>12,.0f}  {naive_ms:>12.1f}  {plan_ms / naive_ms:>5.2f}"
        )
    print(f"worst median: {worst:.1f} ms")


def median_ms(
    planner: Callable[[Snapshot], Plan], snapshot: Snapshot, rounds: int
) -> tuple[float, Plan]:
    """Plan several times; returns the median in milliseconds, and the plan."""
    made = planner(snapshot)
    durations: list[float] = []
    for _ in range(rounds):
        begin = time.process_time()
        made = planner(snapshot)
        durations.append((time.process_time() - begin) * 1000)
    return statistics.median(durations), made


def snapshot_of(case: Case) -> Snapshot:
    """Draw the runs and the fleet of a case; the same every time."""
    source = Random(3)
    shapes = [_shape(source, at) for at in range(case.shapes)]
    # Room for a few hundred runs in all, or for about all of them.
    scale = max(1, round(PENDING / 4 / case.workers)) if case.spacious else 1
    runs = tuple(_run(source, number, shapes) for number in range(PENDING))
    workers = tuple(_worker(source, number, scale) for number in range(case.workers))
    return Snapshot(NOW, runs, workers)


def _shape(source: Random, at: int) -> Shape:
    vram_mb = source.choice([0, 0, 0, 4_000, 8_000])
    selectors = (("zone", "a"),) if at % 5 == 0 else ()
    # Every shape has a RAM of its own, so that there are as many as asked for.
    ram_mb = source.choice([512, 1_024, 4_096]) + at
    return Shape(source.randint(1, 4), ram_mb, vram_mb, selectors)


def _run(source: Random, number: int, shapes: list[Shape]) -> PendingRun:
    at = source.randrange(len(shapes))
    return PendingRun(
        run_id=f"run_{number:05d}",
        priority=source.randint(0, 9),
        created_at=NOW - timedelta(seconds=source.randint(1, 3_600)),
        shape=shapes[at],
        owner=source.choice(OWNERS),
        op=f"op-{at}",
        image=f"image-{at}",
        most_s=(None, 60.0, 600.0)[at % 3],
        usual_s=(None, 30.0, 300.0)[at % 3],
    )


def _worker(source: Random, number: int, scale: int) -> WorkerSnapshot:
    holdings = [_holding(source, f"run_h{number}_{at}") for at in range(source.randint(1, 4))]
    gpus = tuple(
        GpuSnapshot(f"GPU-{number}-{at}", at, 24_000 * scale)
        for at in range(source.choice([0, 0, 2]))
    )
    return WorkerSnapshot(
        worker_id=f"wrk_{number:04d}",
        name=f"box-{number}",
        state="READY",
        cpu=4 + source.choice([0, 2, 4]) * scale,
        ram_mb=8_192 * scale,
        gpus=gpus,
        tags={"zone": source.choice("abc")},
        reserved_cpu=sum(each.cpu for each in holdings),
        reserved_ram_mb=sum(each.ram_mb for each in holdings),
        holdings=tuple(holdings),
        images=frozenset(f"image-{source.randrange(1_000)}" for _ in range(10)),
    )


def _holding(source: Random, run_id: str) -> Holding:
    since = NOW - timedelta(seconds=source.randint(1, 3_600))
    ends_at = NOW + timedelta(seconds=source.randint(1, 3_600))
    owner = source.choice(OWNERS)
    return Holding(since, 1, 512, owner=owner, run_id=run_id, fence=1, ends_at=ends_at)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="plans of each case")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Keeping a worker for the first run that waits: who is held back, who is not, and for how long."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza.server.scheduling.planner import Plan, plan
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)
from tests.unit.server.scheduling.strategies import NOON

SECOND = timedelta(seconds=1)


def a_run(name: str, cpu: int, **given: Any) -> PendingRun:
    neutral: dict[str, Any] = {"priority": 5, "created_at": NOON, "shape": Shape(cpu=cpu)}
    return PendingRun(run_id=name, **{**neutral, **given})


def held(cpu: int, began_s: int) -> Holding:
    return Holding(NOON + began_s * SECOND, cpu=cpu, ram_mb=0)


def a_worker(name: str, cpu: int, *holdings: Holding, **given: Any) -> WorkerSnapshot:
    neutral: dict[str, Any] = {"ram_mb": 8000, "state": "READY"}
    return WorkerSnapshot(
        worker_id=name,
        name=name,
        cpu=cpu,
        reserved_cpu=sum(each.cpu for each in holdings),
        holdings=holdings,
        **{**neutral, **given},
    )


def planned(runs: list[PendingRun], *workers: WorkerSnapshot) -> Plan:
    return plan(Snapshot(NOON, tuple(runs), workers))


def placed(made: Plan) -> list[str]:
    return [each.run.run_id for each in made.placements]


def test_small_runs_do_not_take_what_the_first_in_line_waits_for() -> None:
    made = planned([a_run("large", 4, priority=9), a_run("small", 1)], a_worker("w", 4, held(3, 0)))

    assert placed(made) == []
    assert made.promise is not None
    assert made.promise.run.run_id == "large"


def test_who_is_held_back_is_told_for_whom() -> None:
    made = planned([a_run("large", 4, priority=9), a_run("small", 1)], a_worker("w", 4, held(3, 0)))

    small = made.unplaced[1].refusals.by_worker["w"]
    assert [reason.text for reason in small] == [
        "is kept for large, which comes first and waits for it"
    ]


def test_small_runs_use_what_the_first_in_line_will_not_need() -> None:
    worker = a_worker("w", 8, held(6, 0))

    made = planned([a_run("large", 7, priority=9), a_run("a", 1), a_run("b", 1)], worker)

    assert placed(made) == ["a"]


def test_other_workers_go_on_as_before() -> None:
    workers = (a_worker("w", 4, held(3, 0)), a_worker("other", 2))

    made = planned([a_run("large", 4, priority=9), a_run("a", 1), a_run("b", 1)], *workers)

    assert placed(made) == ["a", "b"]


def test_the_worker_whose_attempts_began_earliest_is_kept() -> None:
    workers = (a_worker("new", 4, held(4, 9)), a_worker("old", 4, held(4, 1)))

    made = planned([a_run("large", 4)], *workers)

    assert made.promise is not None
    assert made.promise.worker_id == "old"


def test_a_run_that_no_worker_could_ever_take_holds_nobody_back() -> None:
    made = planned([a_run("huge", 64, priority=9), a_run("small", 1)], a_worker("w", 4, held(3, 0)))

    assert placed(made) == ["small"]
    assert made.promise is None


def test_a_gpu_is_kept_and_its_neighbour_is_not() -> None:
    gpus = (GpuSnapshot("g0", 0, 8000, reserved_mb=6000), GpuSnapshot("g1", 1, 4000))
    holding = Holding(NOON, cpu=1, ram_mb=0, vram_mb=6000, gpu_uuid="g0")
    rig = replace(a_worker("rig", 16, holding), gpus=gpus)
    large = a_run("large", 1, priority=9, shape=Shape(cpu=1, vram_mb=8000))
    small = [a_run(f"s{at}", 1, shape=Shape(cpu=1, vram_mb=2000)) for at in range(3)]

    made = planned([large, *small], rig)

    assert [each.gpu_uuid for each in made.placements] == ["g1", "g1"]


@dataclass
class Fleet:
    """A fleet over time: attempts end by a fixed length, plans are made each second."""

    workers: list[WorkerSnapshot]
    now: datetime = NOON
    ends: list[tuple[datetime, str, Holding]] = field(default_factory=list)
    started: dict[str, datetime] = field(default_factory=dict)

    def step(self, waiting: list[PendingRun], lasts: dict[str, int]) -> list[PendingRun]:
        self.now += SECOND
        self.ends = [each for each in self.ends if each[0] > self.now]
        made = plan(Snapshot(self.now, tuple(waiting), tuple(map(self._loaded, self.workers))))
        for each in made.placements:
            run = each.run
            holding = Holding(self.now, run.shape.cpu, 0, owner=run.owner)
            self.ends.append((self.now + lasts[run.run_id] * SECOND, each.worker_id, holding))
            self.started[run.run_id] = self.now
        return [run for run in waiting if run.run_id not in self.started]

    def _loaded(self, worker: WorkerSnapshot) -> WorkerSnapshot:
        mine = tuple(holding for _, name, holding in self.ends if name == worker.worker_id)
        return replace(worker, holdings=mine, reserved_cpu=sum(each.cpu for each in mine))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_flood_of_small_runs_delays_a_large_one_by_one_generation_only(
    seed: int, boxes: int
) -> None:
    draw = random.Random(seed)
    longest_s = 8
    fleet = Fleet([a_worker(f"w{at}", 4) for at in range(boxes)])
    lasts = {"large": 1}
    waiting: list[PendingRun] = []
    for second in range(40):
        for at in range(draw.randint(2, 6)):
            name = f"s{second}-{at}"
            lasts[name] = draw.randint(1, longest_s)
            waiting.append(a_run(name, draw.randint(1, 2), created_at=fleet.now))
        if second == 10:
            # The flood has a backlog by then; only its priority puts the large run first.
            waiting.append(a_run("large", 4, priority=6, created_at=fleet.now))
        waiting = fleet.step(waiting, lasts)

    assert fleet.started["large"] - NOON <= (10 + longest_s + 1) * SECOND


@pytest.mark.parametrize("owners", [2, 5])
def test_every_owner_of_a_flood_gets_about_the_same(owners: int) -> None:
    fleet = Fleet([a_worker("w", 10)])
    waiting: list[PendingRun] = []
    lasts: dict[str, int] = {}
    for at in range(owners):
        for number in range(40 * (at + 1)):
            name = f"{at}-{number:03}"
            lasts[name] = 2
            waiting.append(a_run(name, 1, owner=str(at), created_at=NOON))
    for _ in range(12):
        waiting = fleet.step(waiting, lasts)

    counts = [sum(name.startswith(f"{at}-") for name in fleet.started) for at in range(owners)]
    assert max(counts) - min(counts) <= 2

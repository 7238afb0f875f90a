from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gyoza.server.scheduling.planner import plan
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)
from tests.unit.server.scheduling.strategies import NOON

ONE = Shape(cpu=1, ram_mb=100)
MINUTE = timedelta(minutes=1)


def a_run(name: str, shape: Shape = ONE, **given: Any) -> PendingRun:
    neutral: dict[str, Any] = {"priority": 5, "created_at": NOON}
    return PendingRun(run_id=name, shape=shape, **{**neutral, **given})


def a_box(cpu: int, *held: Holding, **given: Any) -> WorkerSnapshot:
    box = WorkerSnapshot("w", "box", "READY", cpu=cpu, ram_mb=100_000, holdings=held, **given)
    return replace(
        box,
        reserved_cpu=sum(each.cpu for each in held),
        reserved_ram_mb=sum(each.ram_mb for each in held),
    )


def placed(runs: list[PendingRun], *workers: WorkerSnapshot) -> list[str]:
    made = plan(Snapshot(NOON, tuple(runs), workers))
    return [each.run.run_id for each in made.placements]


def test_two_owners_with_equal_claims_take_turns() -> None:
    backlog = [a_run(f"a{at}", owner="ann", created_at=NOON - MINUTE) for at in range(6)]
    late = [a_run(f"b{at}", owner="ben") for at in range(2)]

    assert placed([*backlog, *late], a_box(4)) == ["a0", "b0", "a1", "b1"]


def test_who_already_has_most_of_the_fleet_waits() -> None:
    held = Holding(NOON, cpu=2, ram_mb=100, owner="ann")

    assert placed([a_run("a", owner="ann"), a_run("b", owner="ben")], a_box(3, held)) == ["b"]


def test_a_share_is_the_largest_of_its_parts() -> None:
    gpu = GpuSnapshot("g", 0, 8000)
    much_vram = Holding(NOON, cpu=1, ram_mb=100, vram_mb=8000, gpu_uuid="g", owner="ann")
    some_cpu = Holding(NOON, cpu=6, ram_mb=100, owner="ben")
    box = a_box(8, much_vram, some_cpu, gpus=(replace(gpu, reserved_mb=8000),))

    assert placed([a_run("a", owner="ann"), a_run("b", owner="ben")], box) == ["b"]


def test_priority_comes_before_fairness() -> None:
    held = Holding(NOON, cpu=2, ram_mb=100, owner="ann")
    runs = [a_run("a", owner="ann", priority=6), a_run("b", owner="ben")]

    assert placed(runs, a_box(3, held)) == ["a"]


def test_ten_minutes_of_waiting_count_as_a_point_of_priority() -> None:
    patient = a_run("patient", priority=5, created_at=NOON - 20 * MINUTE)

    assert placed([patient, a_run("fresh", priority=6)], a_box(1)) == ["patient"]
    assert placed([patient, a_run("fresh", priority=8)], a_box(1)) == ["fresh"]


def test_waiting_adds_a_hundred_points_at_most_and_then_the_older_wins() -> None:
    ancient = a_run("ancient", priority=0, created_at=NOON - timedelta(days=30))

    assert placed([ancient, a_run("urgent", priority=100)], a_box(1)) == ["ancient"]
    assert placed([ancient, a_run("urgent", priority=101)], a_box(1)) == ["urgent"]


def test_an_old_backlog_does_not_outrank_another_owners_new_run() -> None:
    backlog = [a_run(f"a{at}", owner="ann", created_at=NOON - 600 * MINUTE) for at in range(3)]
    held = Holding(NOON, cpu=1, ram_mb=100, owner="ann")

    assert placed([*backlog, a_run("b", owner="ben")], a_box(2, held)) == ["b"]


def with_use(
    used: dict[str | None, float], runs: list[PendingRun], box: WorkerSnapshot
) -> list[str]:
    made = plan(Snapshot(NOON, tuple(runs), (box,), used=used))
    return [each.run.run_id for each in made.placements]


def test_who_had_much_lately_comes_after_who_had_little() -> None:
    older = [a_run(f"a{at}", owner="ann", created_at=NOON - MINUTE) for at in range(2)]

    assert with_use({"ann": 0.5}, [*older, a_run("b", owner="ben")], a_box(1)) == ["b"]


def test_past_use_makes_a_share_count_up_to_double_and_so_never_starves() -> None:
    runs = [a_run(f"{owner}{at}", owner=owner) for owner in ("ann", "ben") for at in range(9)]

    placed_runs = with_use({"ann": 1.0}, runs, a_box(9))

    assert sum(name.startswith("ann") for name in placed_runs) == 3


def test_what_is_nearly_forgotten_does_not_count_and_age_decides() -> None:
    older = a_run("a", owner="ann", created_at=NOON - MINUTE)

    assert with_use({"ann": 1 / 65}, [older, a_run("b", owner="ben")], a_box(1)) == ["a"]

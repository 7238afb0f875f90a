"""Keeping a worker for the first run that waits: which one, who is held back, and who is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

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


def ending(cpu: int, began_s: int, ends_s: int | None, **given: Any) -> Holding:
    ends_at = None if ends_s is None else NOON + ends_s * SECOND
    return replace(held(cpu, began_s), ends_at=ends_at, **given)


def promised(runs: list[PendingRun], *workers: WorkerSnapshot) -> str | None:
    made = planned(runs, *workers)
    return made.promise.worker_id if made.promise else None


def test_the_worker_whose_attempts_are_expected_to_end_first_is_kept() -> None:
    workers = (a_worker("old", 4, ending(4, 1, 90)), a_worker("new", 4, ending(4, 9, 30)))

    made = planned([a_run("large", 4)], *workers)

    assert made.promise is not None
    assert made.promise.worker_id == "new"
    assert made.promise.starts_at == NOON + 30 * SECOND


def test_a_worker_of_whose_attempts_nothing_is_known_comes_last() -> None:
    workers = (a_worker("old", 4, ending(4, 1, None)), a_worker("known", 4, ending(4, 9, 30)))

    assert promised([a_run("large", 4)], *workers) == "known"


def test_an_attempt_that_was_lost_has_no_expected_end() -> None:
    workers = (a_worker("old", 4, ending(4, 1, None)), a_worker("w", 4, ending(4, 9, 3, lost=True)))

    assert promised([a_run("large", 4)], *workers) == "old"


def test_after_an_hour_of_waiting_start_order_decides_and_not_learned_times() -> None:
    workers = (a_worker("old", 4, ending(4, 1, 90)), a_worker("new", 4, ending(4, 9, 30)))
    patient = a_run("large", 4, created_at=NOON - timedelta(minutes=61))

    made = planned([patient, a_run("brief", 1, most_s=1.0)], *workers)

    assert made.promise is not None
    assert made.promise.worker_id == "old"
    assert made.promise.starts_at is None


def test_what_is_being_stopped_is_waited_for_first() -> None:
    workers = (a_worker("w", 4, ending(4, 1, 3)), a_worker("stops", 4, held(4, 9)))
    stopping = replace(workers[1], holdings=(replace(held(4, 9), stops=True),))

    assert promised([a_run("large", 4)], workers[0], stopping) == "stops"


def test_a_run_that_ends_before_the_promise_falls_due_uses_what_is_kept() -> None:
    worker = a_worker("w", 4, ending(3, 0, 60))
    large = a_run("large", 4, priority=9)

    assert placed(planned([large, a_run("brief", 1, most_s=59.0)], worker)) == ["brief"]
    assert placed(planned([large, a_run("long", 1, most_s=61.0)], worker)) == []
    assert placed(planned([large, a_run("unknown", 1)], worker)) == []


def test_who_uses_what_is_kept_for_a_while_takes_nothing_from_the_others_part() -> None:
    worker = a_worker("w", 10, ending(6, 0, 60))
    runs = [a_run("large", 9, priority=9), a_run("brief", 3, priority=8, most_s=59.0)]

    made = planned([*runs, a_run("long", 1)], worker)

    assert placed(made) == ["brief", "long"]

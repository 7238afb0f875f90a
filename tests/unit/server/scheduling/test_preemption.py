"""Who has to give way to a much more urgent run, and who does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gyoza.server.scheduling.planner import Plan, plan
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)
from tests.unit.server.scheduling.strategies import NOON

MINUTE = timedelta(minutes=1)


def held(name: str, cpu: int, **given: Any) -> Holding:
    neutral: dict[str, Any] = {"since": NOON - MINUTE, "preemptible": True, "fence": 7}
    return Holding(cpu=cpu, ram_mb=0, run_id=name, **{**neutral, **given})


def a_box(name: str, cpu: int, *holdings: Holding) -> WorkerSnapshot:
    return WorkerSnapshot(
        name,
        name,
        "READY",
        cpu,
        8000,
        reserved_cpu=sum(each.cpu for each in holdings),
        holdings=holdings,
    )


def planned(shape: Shape, *workers: WorkerSnapshot, priority: int = 10) -> Plan:
    return plan(Snapshot(NOON, (PendingRun("urgent", priority, NOON, shape),), workers))


def victims(made: Plan) -> list[str]:
    return [each.run_id for each in made.evictions]


def test_a_much_more_urgent_run_displaces_who_may_be_displaced() -> None:
    made = planned(Shape(cpu=4), a_box("w", 4, held("v", 4)))

    assert made.evictions == (Eviction("v", 7, "w", "urgent"),)
    assert made.placements == ()
    assert made.promise is not None
    assert made.promise.worker_id == "w"


def test_below_the_gap_nobody_gives_way() -> None:
    assert victims(planned(Shape(cpu=4), a_box("w", 4, held("v", 4)), priority=9)) == []


def test_age_does_not_count_towards_the_gap() -> None:
    old = PendingRun("old", 9, NOON - timedelta(days=1), Shape(cpu=4))

    made = plan(Snapshot(NOON, (old,), (a_box("w", 4, held("v", 4)),)))

    assert made.evictions == ()


def test_ops_that_do_not_say_so_are_never_displaced() -> None:
    assert victims(planned(Shape(cpu=4), a_box("w", 4, held("v", 4, preemptible=False)))) == []


def test_the_lowest_priority_gives_way_first_and_among_equals_the_youngest() -> None:
    young = held("young", 2, since=NOON)
    box = a_box("w", 6, held("high", 2, priority=-1), held("old", 2), young)
    lowest = a_box("w", 6, held("low", 2, priority=-2), held("old", 2), young)

    assert victims(planned(Shape(cpu=2), replace(box, holdings=box.holdings[1:]))) == ["young"]
    assert victims(planned(Shape(cpu=2), lowest)) == ["low"]


def test_who_turns_out_to_be_needless_is_put_back() -> None:
    box = a_box("w", 5, held("small", 1, since=NOON), held("large", 4))

    assert victims(planned(Shape(cpu=4), box)) == ["large"]


def test_the_worker_where_the_fewest_give_way_is_chosen() -> None:
    two = a_box("a", 4, held("a1", 2), held("a2", 2))
    one = a_box("b", 4, held("b1", 4))

    assert victims(planned(Shape(cpu=4), two, one)) == ["b1"]


def test_all_victims_are_on_one_worker_and_those_of_a_gpu_on_one_gpu() -> None:
    gpus = (
        GpuSnapshot("g0", 0, 8000, reserved_mb=8000),
        GpuSnapshot("g1", 1, 8000, reserved_mb=8000),
    )
    holdings = [
        held(f"{uuid}{at}", 0, vram_mb=4000, gpu_uuid=uuid) for uuid in ("g0", "g1") for at in "ab"
    ]
    rig = replace(a_box("rig", 4, *holdings), gpus=gpus)

    made = planned(Shape(cpu=1, vram_mb=8000), rig)

    assert victims(made) == ["g0a", "g0b"]
    assert made.promise is not None
    assert made.promise.gpu_uuid == "g0"


def test_while_victims_end_nobody_else_is_displaced() -> None:
    ending = a_box("w", 4, held("v", 4, stops=True))

    made = planned(Shape(cpu=4), ending, a_box("other", 4, held("u", 4)))

    assert made.evictions == ()
    assert made.promise is not None
    assert made.promise.worker_id == "w"


def test_what_is_being_stopped_counts_as_room_to_come() -> None:
    box = a_box("w", 4, held("stops", 2, stops=True), held("a", 1), held("b", 1))

    assert victims(planned(Shape(cpu=3), box)) == ["a"]


def test_a_lost_attempt_is_not_stopped_for_anybody() -> None:
    assert victims(planned(Shape(cpu=4), a_box("w", 4, held("v", 4, lost=True)))) == []


def test_a_lost_attempt_is_not_room_to_come_though_its_run_was_asked_to_stop() -> None:
    lost = a_box("a", 4, held("lost", 4, stops=True, lost=True))

    assert victims(planned(Shape(cpu=4), lost, a_box("b", 4, held("v", 4)))) == ["v"]


def test_what_a_shrunken_worker_owes_is_not_room() -> None:
    shrunken = a_box("w", 2, held("a", 2), held("b", 2))

    assert victims(planned(Shape(cpu=2), shrunken)) == ["a", "b"]


def test_only_the_first_run_without_room_displaces() -> None:
    runs = tuple(PendingRun(f"r{at}", 20 - at, NOON, Shape(cpu=4)) for at in range(2))
    workers = (a_box("a", 4, held("v", 4)), a_box("b", 4, held("u", 4)))

    made = plan(Snapshot(NOON, runs, workers))

    assert [each.for_run_id for each in made.evictions] == ["r0"]

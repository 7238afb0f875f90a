"""Each change that is named was tried; what would not help is not named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from gyoza.server.scheduling.planner import plan
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    Limits,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)
from gyoza.server.scheduling.trials import Change, changes_for, ends_for
from tests.unit.server.scheduling.strategies import NOON, snapshots


def a_worker(name: str = "box", **given: Any) -> WorkerSnapshot:
    neutral: dict[str, Any] = {"state": "READY", "cpu": 4, "ram_mb": 8000}
    return WorkerSnapshot(f"wrk_{name}", name, **{**neutral, **given})


def a_run(shape: Shape, run_id: str = "run_a", **given: Any) -> PendingRun:
    neutral: dict[str, Any] = {"priority": 5, "created_at": NOON, "op": "fit"}
    return PendingRun(run_id, shape=shape, **{**neutral, **given})


def named(
    run: PendingRun, *workers: WorkerSnapshot, others: tuple[PendingRun, ...] = (), **given: Any
) -> dict[str, Change]:
    found = changes_for(run, Snapshot(NOON, (*others, run), workers, **given))
    assert found.all_tried
    return {change.name: change for change in found.found}


def test_a_drained_worker_resumed_would_take_the_run() -> None:
    found = named(a_run(Shape(1, 512)), a_worker(state="DRAINING"))

    change = found["resume_worker"]
    assert (change.text, change.command) == ("resume worker box", "gyoza worker resume box")


def test_a_lost_worker_is_to_be_brought_back_which_no_command_does() -> None:
    lost = a_worker(state="LOST", detail="not heard of for 90 s")

    change = named(a_run(Shape(1, 512)), lost)["worker_back"]

    assert change.text == "bring back worker box, which is LOST: not heard of for 90 s"
    assert change.command is None


def test_a_worker_that_would_be_too_small_is_not_to_be_resumed() -> None:
    found = named(a_run(Shape(8, 512)), a_worker(state="DRAINING"))

    assert "resume_worker" not in found


def test_a_gpu_in_quarantine_would_take_the_run_if_it_got_work_again() -> None:
    sick = GpuSnapshot("GPU-1", 1, 8000, problem="in quarantine: 3 ops failed")

    change = named(a_run(Shape(1, 512, 4000)), a_worker(gpus=(sick,)))["resume_gpu"]

    assert change.text == "have gpu 1 of worker box back, which is in quarantine: 3 ops failed"
    assert change.command == "gyoza worker resume box --gpu GPU-1"


def test_the_smallest_priority_that_helps_is_named() -> None:
    earlier = NOON - timedelta(seconds=9)
    ahead = a_run(Shape(4, 512), "run_b", priority=40, owner="bea", created_at=earlier)

    change = named(a_run(Shape(4, 512)), a_worker(), others=(ahead,))["priority"]

    assert change.text == "raise its priority to 41"
    assert change.command == "gyoza priority run_a 41"
    assert change.worker == "box"


def test_priority_does_not_help_where_there_is_no_room() -> None:
    found = named(a_run(Shape(4, 512)), a_worker(reserved_cpu=1))

    assert "priority" not in found


def test_the_most_that_would_fit_now_is_named_per_resource() -> None:
    gpu = GpuSnapshot("g", 0, 8000, used_mb=2000)
    worker = a_worker(gpus=(gpu,), reserved_ram_mb=1000, ram_mb=8000)

    ram = named(a_run(Shape(1, 8000)), worker)["less_ram"]
    vram = named(a_run(Shape(1, 512, 7000)), worker)["less_vram"]
    cpu = named(a_run(Shape(6, 512)), worker)["less_cpu"]

    assert ram.text == "ask for at most 7000 MB RAM, 1000 less"
    assert vram.text == "ask for at most 6000 MB VRAM, 1000 less"
    assert cpu.text == "ask for at most 4 CPU, 2 less"
    assert {ram.worker, vram.worker, cpu.worker} == {"box"}


def test_two_resources_that_are_short_cannot_be_helped_by_less_of_one() -> None:
    found = named(a_run(Shape(8, 9000)), a_worker())

    assert not {"less_ram", "less_cpu"} & set(found)


def test_a_new_worker_has_to_be_as_large_as_the_run() -> None:
    shape = Shape(64, 1000, 24000, (("zone", "a"),))

    change = named(a_run(shape), a_worker())["new_worker"]

    assert change.text == (
        "start a worker that offers at least 64 CPU, 1000 MB RAM, a GPU of 24000 MB, tag zone=a"
    )
    assert change.command == "gyoza worker start --tag zone=a"


def test_a_new_worker_has_to_hold_those_ahead_as_well() -> None:
    ahead = a_run(Shape(8, 512), "run_b", created_at=NOON - timedelta(seconds=9))

    change = named(a_run(Shape(8, 512)), others=(ahead,))["new_worker"]

    assert "at least 16 CPU" in change.text


def test_a_missing_tag_is_named_with_the_worker_that_would_take_the_run() -> None:
    shape = Shape(1, 512, 0, (("zone", "a"),))

    change = named(a_run(shape), a_worker(tags={"zone": "b"}))["worker_tag"]

    assert change.text == "give worker box the tag zone=a"


def test_a_paused_op_is_to_be_resumed() -> None:
    limits = Limits(paused=frozenset({"fit"}))

    found = named(a_run(Shape(1, 512)), a_worker(), limits=limits)

    assert list(found) == ["resume_op"]
    assert found["resume_op"].command == "gyoza op resume fit"


def test_a_paused_op_without_room_is_not_helped_by_resuming_it() -> None:
    limits = Limits(paused=frozenset({"fit"}))

    assert named(a_run(Shape(1, 512)), a_worker(reserved_cpu=4), limits=limits) == {}


def test_limits_of_op_and_owner_are_to_be_raised_by_one() -> None:
    held = Holding(NOON, 1, 512, owner="ada", run_id="x", op="fit")
    worker = a_worker(reserved_cpu=1, reserved_ram_mb=512, holdings=(held,))
    run = a_run(Shape(1, 512), owner="ada")

    by_op = named(run, worker, limits=Limits(op_most={"fit": 1}))["op_limit"]
    by_owner = named(run, worker, limits=Limits(owner_most={"ada": 1}))["owner_limit"]

    assert by_op.text == "raise max_parallel of op fit to 2"
    assert by_op.command == "gyoza op limit fit 2"
    assert by_owner.text == "raise what ada may have at work to 2"
    assert by_owner.command == "gyoza quota set ada --max-active 2"


@pytest.mark.parametrize(
    ("owner", "command"),
    [(None, None), ("ada's lab", """gyoza quota set 'ada'"'"'s lab' --max-active 2""")],
)
def test_a_quota_is_raised_by_a_command_where_there_is_an_owner_to_name(
    owner: str | None, command: str | None
) -> None:
    held = Holding(NOON, 1, 512, owner=owner, run_id="x", op="fit")
    worker = a_worker(reserved_cpu=1, reserved_ram_mb=512, holdings=(held,))
    run = a_run(Shape(1, 512), owner=owner)

    found = named(run, worker, limits=Limits(owner_most={owner: 1}))

    assert found["owner_limit"].command == command


def test_only_ends_that_make_room_are_named() -> None:
    small, large = (Holding(NOON, cpu, 512, run_id=f"r{cpu}", op="fit") for cpu in (1, 3))
    worker = a_worker(reserved_cpu=4, reserved_ram_mb=1024, holdings=(small, large))
    run = a_run(Shape(3, 512))

    found = ends_for(run, Snapshot(NOON, (run,), (worker,)), ["r1", "r3"]).found

    assert [(change.text, change.command) for change in found] == [("end r3", "gyoza cancel r3")]


def test_nothing_is_proved_by_a_place_for_the_last_run_that_was_read() -> None:
    ahead = a_run(Shape(1, 512), "run_b", created_at=NOON - timedelta(seconds=9))
    run = a_run(Shape(1, 512))
    snapshot = Snapshot(NOON, (ahead, run), (a_worker(state="DRAINING"),))

    found = changes_for(run, snapshot, cut={"run_b"}).found

    assert found == ()


def test_a_fleet_too_large_to_try_everything_says_so() -> None:
    workers = tuple(a_worker(f"box{n}", state="LOST", cpu=1) for n in range(5000))
    runs = tuple(a_run(Shape(1, 512 + n), f"run_{n}") for n in range(20))

    found = changes_for(runs[0], Snapshot(NOON, runs, workers))

    assert not found.all_tried


@given(snapshots())
def test_a_named_priority_lets_the_run_start(snapshot: Snapshot) -> None:
    waiting = [each.run for each in plan(snapshot).unplaced]
    for run in waiting[:1]:
        for change in changes_for(run, snapshot).found:
            if change.name == "priority":
                raised = replace(run, priority=int(change.text.split()[-1]))
                runs = (*(each for each in snapshot.runs if each != run), raised)
                placed = plan(replace(snapshot, runs=runs)).placements
                assert run.run_id in {each.run.run_id for each in placed}

"""The planner keeps every property; a naive planner breaks each, and the checks notice it."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

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
from tests.unit.server.scheduling import properties
from tests.unit.server.scheduling.first_fit import first_fit
from tests.unit.server.scheduling.strategies import NOON, of_several_owners, snapshots

_owners = st.lists(st.sampled_from(["ann", "ben", None]), min_size=1, max_size=3)


@given(snapshots(), _owners)
def test_no_worker_and_no_gpu_is_over_committed(
    snapshot: Snapshot, owners: list[str | None]
) -> None:
    snapshot = of_several_owners(snapshot, owners)

    assert properties.over_commitments(snapshot, plan(snapshot)) == []


@given(snapshots(), _owners)
def test_runs_go_only_where_they_may(snapshot: Snapshot, owners: list[str | None]) -> None:
    snapshot = of_several_owners(snapshot, owners)

    assert properties.misplacements(snapshot, plan(snapshot)) == []


@given(snapshots(), _owners)
def test_every_run_has_a_place_or_a_reason(snapshot: Snapshot, owners: list[str | None]) -> None:
    snapshot = of_several_owners(snapshot, owners)

    assert properties.losses(snapshot, plan(snapshot)) == []


@given(snapshots())
def test_the_highest_effective_priority_that_has_room_is_never_passed_over(
    snapshot: Snapshot,
) -> None:
    assert properties.passed_over(snapshot, plan(snapshot)) == []


@given(snapshots(), _owners)
def test_limits_are_never_exceeded_and_hold_back_nobody_else(
    snapshot: Snapshot, owners: list[str | None]
) -> None:
    snapshot = of_several_owners(snapshot, owners)

    assert properties.exceeded_limits(snapshot, plan(snapshot)) == []


@given(snapshots(), _owners)
def test_only_the_fewest_give_way_across_the_gap_and_make_enough_room(
    snapshot: Snapshot, owners: list[str | None]
) -> None:
    snapshot = of_several_owners(snapshot, owners)

    assert properties.wrong_evictions(snapshot, plan(snapshot)) == []


@given(snapshots(), _owners, st.randoms(use_true_random=False))
def test_the_order_of_the_snapshot_does_not_change_the_plan(
    snapshot: Snapshot, owners: list[str | None], shuffle: random.Random
) -> None:
    snapshot = of_several_owners(snapshot, owners)

    assert properties.differences_by_order(plan, snapshot, shuffle) == []


def a_run(name: str, shape: Shape, priority: int = 5) -> PendingRun:
    return PendingRun(name, priority, NOON, shape, op="count")


def a_box(name: str, *held: Holding, cpu: int = 4) -> WorkerSnapshot:
    return WorkerSnapshot(
        name,
        name,
        "READY",
        cpu,
        8000,
        reserved_cpu=sum(each.cpu for each in held),
        holdings=held,
    )


def test_first_fit_over_commits_a_gpu() -> None:
    gpus = (GpuSnapshot("g0", 0, 8000), GpuSnapshot("g1", 1, 8000))
    rig = replace(a_box("rig"), gpus=gpus)
    snapshot = Snapshot(NOON, (a_run("large", Shape(vram_mb=12000)),), (rig,))

    assert properties.over_commitments(snapshot, first_fit(snapshot)) == ["g0 lacks 4000 MB VRAM"]


def test_first_fit_places_what_does_not_fit() -> None:
    silent = replace(a_box("w"), state="SILENT")
    run = a_run("r", Shape(selectors=(("zone", "a"),)))
    snapshot = Snapshot(NOON, (run,), (silent,))

    assert properties.misplacements(snapshot, first_fit(snapshot)) == [
        "r on w: it is SILENT",
        "r on w: it lacks a tag",
    ]


def test_first_fit_passes_over_the_highest_priority() -> None:
    runs = (a_run("low", Shape(cpu=4), 1), a_run("high", Shape(cpu=4), 9))
    snapshot = Snapshot(NOON, runs, (a_box("w"),))

    found = properties.passed_over(snapshot, first_fit(snapshot))

    assert found == ["high would have fitted on w"]


def test_first_fit_exceeds_limits() -> None:
    runs = tuple(a_run(f"r{at}", Shape(cpu=1)) for at in range(2))
    snapshot = Snapshot(NOON, runs, (a_box("w"),), limits=Limits(op_most={"count": 1}))

    assert "count has 2 at work" in properties.exceeded_limits(snapshot, first_fit(snapshot))


def test_first_fit_displaces_who_may_not_be_and_too_few() -> None:
    held = (Holding(NOON, 1, 0, run_id="one", priority=4), Holding(NOON, 3, 0, run_id="two"))
    snapshot = Snapshot(NOON, (a_run("r", Shape(cpu=4)),), (a_box("w", *held),))

    assert properties.wrong_evictions(snapshot, first_fit(snapshot)) == [
        "one may not be displaced",
        "the victims do not make enough room",
    ]


def test_first_fit_depends_on_the_order_of_the_snapshot() -> None:
    runs = (a_run("a", Shape(cpu=4)), a_run("b", Shape(cpu=4)))
    snapshot = Snapshot(NOON, runs, (a_box("w"),))

    found = [
        properties.differences_by_order(first_fit, snapshot, random.Random(seed))
        for seed in range(5)
    ]

    assert ["placements", "unplaced"] in found


def test_a_plan_that_forgets_a_run_or_its_reason_is_noticed() -> None:
    snapshot = Snapshot(NOON, (a_run("r", Shape(cpu=1)),), (a_box("w"),))
    made = first_fit(replace(snapshot, runs=(a_run("r", Shape(cpu=9)),)))
    forgotten = replace(made, unplaced=())

    assert properties.losses(snapshot, forgotten) == ["r is named 0 times"]

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gyoza.server.scheduling.forecast import forecast, without
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    Limits,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)
from tests.unit.server.scheduling.strategies import NOON

FOUR = Shape(cpu=4, ram_mb=512)


def holds(run_id: str, ends_in_s: float | None, *, cpu: int = 4, op: str = "op") -> Holding:
    ends_at = None if ends_in_s is None else NOON + timedelta(seconds=ends_in_s)
    since = NOON - timedelta(seconds=60)
    return Holding(since, cpu, 512, run_id=run_id, op=op, ends_at=ends_at)


def full(*held: Holding) -> WorkerSnapshot:
    reserved = sum(each.cpu for each in held)
    return WorkerSnapshot(
        "w", "w", "READY", 4, 8000, (), {}, reserved, 512 * len(held), holdings=held
    )


def waits(run_id: str, *, usual_s: float | None = 30, age_s: float = 0) -> PendingRun:
    created = NOON - timedelta(seconds=age_s)
    return PendingRun(run_id, 5, created, FOUR, op="op", usual_s=usual_s)


def test_a_run_starts_when_what_is_in_its_place_has_ended() -> None:
    found = forecast("a", Snapshot(NOON, (waits("a"),), (full(holds("x", 40)),)))

    assert found == (NOON + timedelta(seconds=40), ("x",), 0, "")


def test_a_run_starts_after_those_ahead_of_it_have_had_their_usual_time() -> None:
    waiting = (waits("a"), waits("b", age_s=9))

    found = forecast("a", Snapshot(NOON, waiting, (full(holds("x", 40)),)))

    assert found.at == NOON + timedelta(seconds=70)
    assert (found.after, found.started) == (("x",), 1)


def test_an_end_that_nobody_knows_leaves_the_start_unknown_and_says_whose() -> None:
    found = forecast("a", Snapshot(NOON, (waits("a"),), (full(holds("x", None, op="fit")),)))

    assert found.at is None
    assert found.why == "too few runs have completed to know how long these take: fit"


def test_a_run_ahead_whose_time_nobody_knows_leaves_the_start_unknown() -> None:
    waiting = (waits("a"), waits("b", age_s=9, usual_s=None))

    assert forecast("a", Snapshot(NOON, waiting, (full(holds("x", 40)),))).at is None


def test_where_nothing_is_at_work_nothing_makes_room() -> None:
    drained = replace(full(), state="DRAINING")

    found = forecast("a", Snapshot(NOON, (waits("a"),), (drained,)))

    assert (found.at, found.why) == (None, "nothing that is at work makes room for it")


def test_a_limit_frees_a_place_as_room_does() -> None:
    worker = replace(full(holds("x", 40, cpu=1)), cpu=64)

    found = forecast(
        "a", Snapshot(NOON, (waits("a"),), (worker,), limits=Limits(op_most={"op": 1}))
    )

    assert found.at == NOON + timedelta(seconds=40)


def test_too_much_ahead_is_not_worked_out() -> None:
    ahead = [waits(f"b{n:04}", age_s=9) for n in range(2000)]

    found = forecast("a", Snapshot(NOON, (*ahead, waits("a")), (full(holds("x", 40)),)))

    assert (found.at, found.why) == (None, "too much is ahead of it to work that out")


def test_a_snapshot_without_a_run_has_its_room_and_vram_back() -> None:
    held = Holding(NOON, 2, 512, 3000, "g", run_id="x")
    gpu = GpuSnapshot("g", 0, 8000, reserved_mb=4000)
    worker = WorkerSnapshot("w", "w", "READY", 4, 8000, (gpu,), {}, 3, 1000, holdings=(held,))

    (found,) = without(Snapshot(NOON, (), (worker,)), "x").workers

    assert (found.reserved_cpu, found.reserved_ram_mb) == (1, 488)
    assert (found.gpus[0].reserved_mb, found.holdings) == (1000, ())

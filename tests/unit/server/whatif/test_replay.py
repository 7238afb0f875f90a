from __future__ import annotations

import heapq
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza.server.scheduling.planner import Placement, Plan, plan
from gyoza.server.scheduling.snapshot import Snapshot
from gyoza.server.whatif.fleet import Box, Fleet
from gyoza.server.whatif.host import Overcommitted
from gyoza.server.whatif.load import Load, LoadClass, drawn
from gyoza.server.whatif.outcome import Outcome
from gyoza.server.whatif.replay import Stalled, _Replay, replay, step_for
from tests.unit.server.whatif.loads import (
    GPU,
    HUGE,
    SMALL,
    a_fleet,
    a_load,
    a_run,
    fleets,
    loads,
)

steps = st.sampled_from([0.0, 0.5, 30.0])


def starts(outcome: Outcome) -> list[float]:
    return [ran.started_s for ran in sorted(outcome.attempts, key=lambda ran: ran.number)]


def most_held(outcome: Outcome) -> Counter[tuple[str, str]]:
    """The most that was held of every resource at any instant, counted from the attempts alone."""
    changes: list[tuple[float, int, tuple[str, str], int]] = []
    for ran in outcome.attempts:
        shape = outcome.load.runs[ran.number].shape
        of = {(ran.worker_id, "cpu"): shape.cpu, (ran.worker_id, "ram"): shape.ram_mb}
        if ran.gpu_uuid is not None:
            of[ran.worker_id, ran.gpu_uuid] = shape.vram_mb
        for key, amount in of.items():
            changes += [(ran.started_s, 1, key, amount), (ran.ended_s, 0, key, -amount)]
    held: Counter[tuple[str, str]] = Counter()
    most: Counter[tuple[str, str]] = Counter()
    for _, _, key, amount in sorted(changes):
        held[key] += amount
        most[key] = max(most[key], held[key])
    return most


@settings(max_examples=150)
@given(loads, fleets, steps)
def test_every_run_completes_once_or_could_never_be_placed(
    load: Load, fleet: Fleet, step_s: float
) -> None:
    outcome = replay(load, fleet, step_s=step_s)

    completed = [ran.number for ran in outcome.attempts if ran.completed]
    assert sorted([*completed, *outcome.never]) == list(range(len(load.runs)))


@settings(max_examples=150)
@given(loads, fleets, steps)
def test_nothing_is_over_committed_at_any_instant(load: Load, fleet: Fleet, step_s: float) -> None:
    outcome = replay(load, fleet, step_s=step_s)

    has: dict[tuple[str, str], int] = {}
    for worker in fleet.workers():
        has[worker.worker_id, "cpu"] = worker.cpu
        has[worker.worker_id, "ram"] = worker.ram_mb
        has |= {(worker.worker_id, gpu.uuid): gpu.vram_mb for gpu in worker.gpus}
    assert {key: held for key, held in most_held(outcome).items() if held > has[key]} == {}


@settings(max_examples=100)
@given(loads, fleets, steps)
def test_a_run_starts_after_its_submit_and_takes_as_long_as_it_takes(
    load: Load, fleet: Fleet, step_s: float
) -> None:
    outcome = replay(load, fleet, step_s=step_s)

    for ran in outcome.attempts:
        run = load.runs[ran.number]
        assert ran.started_s >= run.submitted_s
        if ran.completed:
            assert ran.ended_s == ran.started_s + run.duration_s


@given(loads, fleets, steps)
def test_the_same_load_on_the_same_fleet_gives_the_same_outcome(
    load: Load, fleet: Fleet, step_s: float
) -> None:
    assert replay(load, fleet, step_s=step_s) == replay(load, fleet, step_s=step_s)


class LooksAlways(_Replay):
    def _could_place(self) -> bool:
        return True


@settings(max_examples=150)
@given(loads, fleets)
def test_a_look_that_is_left_out_would_have_changed_nothing(load: Load, fleet: Fleet) -> None:
    economical = replay(load, fleet, step_s=0)
    thorough = LooksAlways(load, fleet, 0, plan).run()

    assert economical.attempts == thorough.attempts
    assert economical.plans <= thorough.plans


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(0.001, 200)), min_size=1, max_size=40),
    st.integers(1, 4),
)
def test_runs_that_are_alike_are_served_like_any_queue_with_several_counters(
    times: list[tuple[float, float]], counters: int
) -> None:
    load = a_load(*(a_run(at_s, takes_s) for at_s, takes_s in times))
    free_at = [0.0] * counters
    expected: list[float] = []
    for run in load.runs:
        start_s = max(run.submitted_s, heapq.heappop(free_at))
        heapq.heappush(free_at, start_s + run.duration_s)
        expected.append(start_s)

    assert starts(replay(load, a_fleet(cpu=counters))) == expected


def test_a_run_starts_at_once_on_a_fleet_with_room() -> None:
    outcome = replay(a_load(a_run(3.0), a_run(4.0)), a_fleet(cpu=2))

    assert starts(outcome) == [3.0, 4.0]


def test_a_run_without_room_starts_the_moment_another_ends() -> None:
    outcome = replay(a_load(a_run(0, 60), a_run(1, 10), a_run(2, 10)), a_fleet(cpu=1))

    assert starts(outcome) == [0.0, 60.0, 70.0]


def test_who_is_more_urgent_starts_first() -> None:
    load = a_load(a_run(0, 60), a_run(1, priority=5), a_run(2, priority=9))

    outcome = replay(load, a_fleet(cpu=1))

    assert starts(outcome) == [0.0, 120.0, 60.0]


def test_runs_share_a_gpu_as_far_as_it_goes() -> None:
    load = a_load(*(a_run(0, 60, GPU) for _ in range(5)))

    outcome = replay(load, a_fleet(cpu=8, gpus=(16_000, 16_000)))

    assert starts(outcome) == [0, 0, 0, 0, 60]
    assert len({ran.gpu_uuid for ran in outcome.attempts}) == 2


def test_what_no_worker_could_ever_take_is_told_and_holds_nobody_up() -> None:
    outcome = replay(a_load(a_run(0, shape=HUGE, priority=99), a_run(1)), a_fleet(cpu=2))

    assert outcome.never == (0,)
    assert [(ran.number, ran.started_s) for ran in outcome.attempts] == [(1, 1.0)]


def test_with_a_step_plans_are_so_far_apart_and_the_first_comes_at_once() -> None:
    load = a_load(a_run(1.0), a_run(2.0), a_run(3.0), a_run(50.0))

    outcome = replay(load, a_fleet(cpu=8), step_s=10)

    assert starts(outcome) == [1.0, 11.0, 11.0, 50.0]


def test_small_loads_are_planned_at_every_event_and_large_ones_in_steps() -> None:
    few = drawn("few", [LoadClass("a", 100, 60, SMALL)], 3600, seed=1)
    many = drawn("many", [LoadClass("a", 15_000, 60, SMALL)], 3600, seed=1)

    assert step_for(few, a_fleet()) == 0
    assert step_for(many, a_fleet(cpu=64, count=20)) == pytest.approx(3600 / 20_000)
    assert step_for(many, a_fleet(cpu=1)) > 40


def test_a_planner_that_places_what_does_not_fit_is_found_out() -> None:
    def careless(snapshot: Snapshot) -> Plan:
        worker = snapshot.workers[0].worker_id
        return Plan(tuple(Placement(run, worker, None) for run in snapshot.runs), ())

    with pytest.raises(Overcommitted, match=r"run_00000001 does not fit on wrk_00000"):
        replay(a_load(a_run(0), a_run(0, priority=1)), a_fleet(cpu=1), planner=careless)


def test_a_planner_that_places_nothing_is_found_out() -> None:
    with pytest.raises(Stalled, match=r"1 runs wait on a fleet that is empty"):
        replay(a_load(a_run()), a_fleet(), planner=lambda _: Plan((), ()))


def test_what_runs_of_an_op_took_is_known_once_enough_of_them_ended() -> None:
    known: list[float | None] = []

    def watching(snapshot: Snapshot) -> Plan:
        known.extend(run.most_s for run in snapshot.runs)
        return plan(snapshot)

    runs = [a_run(100.0 * at, 30, op="train") for at in range(7)]
    replay(a_load(*runs), a_fleet(), planner=watching)

    assert known[:5] == [None] * 5
    assert known[5:] == [pytest.approx(30), pytest.approx(30)]


def test_the_planner_sees_when_attempts_will_probably_end_also_after_that_moment() -> None:
    early = [a_run(100.0 * at, 30, op="train") for at in range(6)]
    late = a_run(1_000, 400, op="train")
    ends: list[float] = []

    def watching(snapshot: Snapshot) -> Plan:
        ends.extend(
            (holding.ends_at - holding.since).total_seconds()
            for holding in snapshot.workers[0].holdings
            if holding.ends_at is not None
        )
        return plan(snapshot)

    others = [a_run(1_010), a_run(1_200)]
    replay(a_load(*early, late, *others), a_fleet(cpu=2), planner=watching)

    assert ends == [pytest.approx(30), pytest.approx(250)]


def test_workers_are_named_and_numbered_by_their_box() -> None:
    fleet = Fleet("now", (Box("cpu", 4, 8_000, count=2),))
    more = fleet.plus([Box("gpu", 8, 16_000, (24_000,), {"zone": "a"})])

    assert more.name == "now + 1 x gpu"
    assert [(each.worker_id, each.name) for each in more.workers()] == [
        ("wrk_00000", "cpu-1"),
        ("wrk_00001", "cpu-2"),
        ("wrk_00002", "gpu"),
    ]

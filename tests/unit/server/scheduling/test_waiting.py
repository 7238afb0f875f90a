"""How long anybody waits at most, and that owners get alike: played against adversaries."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza.server.scheduling.snapshot import PendingRun, Shape, WorkerSnapshot
from tests.unit.server.scheduling.first_fit import first_fit
from tests.unit.server.scheduling.simulation import SECOND, Fleet
from tests.unit.server.scheduling.strategies import NOON

_LONGEST_S = 8
_ARRIVES_S = 10


def boxes(count: int) -> list[WorkerSnapshot]:
    return [WorkerSnapshot(f"w{at}", f"w{at}", "READY", 4, 8000) for at in range(count)]


def wait_of_a_large_run(fleet: Fleet, seed: int, priority: int = 6) -> float | None:
    """Seconds that a run which needs a whole box waits in a flood of small ones; None for ever."""
    draw = random.Random(seed)
    lasts = {"large": 1}
    waiting: list[PendingRun] = []
    for second in range(_ARRIVES_S + 100):
        for at in range(draw.randint(2, 6)):
            name = f"s{second:03}-{at}"
            lasts[name] = draw.randint(1, _LONGEST_S)
            cpu = draw.randint(1, 2)
            waiting.append(PendingRun(name, 5, fleet.now, Shape(cpu=cpu)))
        if second == _ARRIVES_S:
            # The flood has a backlog by then; only its priority puts the large run first.
            waiting.append(PendingRun("large", priority, fleet.now, Shape(cpu=4)))
        waiting = fleet.step(waiting, lasts)[:200]
        if "large" in fleet.started:
            return (fleet.started["large"] - NOON).total_seconds() - _ARRIVES_S
    return None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_flood_of_small_runs_delays_a_large_one_by_one_generation_only(
    seed: int, count: int
) -> None:
    wait_s = wait_of_a_large_run(Fleet(boxes(count)), seed)

    assert wait_s is not None
    assert wait_s <= _LONGEST_S + 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([0.5, 1.0, 3.0, 30.0]))
def test_learned_times_that_lie_delay_it_by_no_more_than_its_patience_and_a_generation(
    seed: int, count: int, told_s: float
) -> None:
    fleet = Fleet(boxes(count), told_s=told_s, patience_s=12)

    wait_s = wait_of_a_large_run(fleet, seed)

    assert wait_s is not None
    assert wait_s <= 12 + _LONGEST_S + 1


@pytest.mark.parametrize("count", [1, 3])
def test_first_fit_lets_a_large_run_starve(count: int) -> None:
    fleet = Fleet(boxes(count), planner=first_fit)

    # Of the flood's own priority, since first fit stops others for who has more.
    wait_s = wait_of_a_large_run(fleet, seed=1, priority=5)

    assert wait_s is None or wait_s > 12 + _LONGEST_S + 1


def test_without_an_end_of_patience_lies_would_starve_it() -> None:
    waits = [
        wait_of_a_large_run(Fleet(boxes(count), told_s=0.5, patience_s=1e9), seed)
        for seed in range(12)
        for count in (1, 2, 3)
    ]

    assert None in waits


@pytest.mark.parametrize("owners", [2, 5])
def test_every_owner_of_a_flood_gets_about_the_same(owners: int) -> None:
    fleet = Fleet([WorkerSnapshot("w", "w", "READY", 10, 8000)])
    waiting: list[PendingRun] = []
    lasts: dict[str, int] = {}
    for at in range(owners):
        for number in range(40 * (at + 1)):
            name = f"{at}-{number:03}"
            lasts[name] = 2
            waiting.append(PendingRun(name, 5, NOON, Shape(cpu=1), owner=str(at)))
    for _ in range(12):
        waiting = fleet.step(waiting, lasts)

    counts = [sum(name.startswith(f"{at}-") for name in fleet.started) for at in range(owners)]
    assert max(counts) - min(counts) <= 2


def displacements(victims_age: timedelta) -> Fleet:
    """A box full of two victims; an urgent run that needs it comes, and a minute passes."""
    fleet = Fleet(boxes(1), preemptible=frozenset({"v0", "v1"}))
    victims = [
        PendingRun(name, 0, NOON - victims_age, Shape(cpu=2), op="batch") for name in ("v0", "v1")
    ]
    lasts = {"v0": 20, "v1": 20, "urgent": 5}
    waiting = fleet.step(victims, lasts)
    waiting.append(PendingRun("urgent", 20, fleet.now, Shape(cpu=4)))
    for _ in range(60):
        waiting = fleet.step(waiting, lasts)
    return fleet


def test_who_was_displaced_is_displaced_once_and_goes_on_behind_the_urgent_run() -> None:
    fleet = displacements(timedelta())

    assert fleet.displaced == ["v0", "v1"]
    assert fleet.started["urgent"] == NOON + 4 * SECOND
    assert fleet.started["v0"] == fleet.started["urgent"] + 5 * SECOND


def test_who_would_come_first_again_by_age_is_not_displaced_at_all() -> None:
    fleet = displacements(timedelta(hours=10))

    assert fleet.displaced == []
    assert fleet.started["urgent"] == NOON + 21 * SECOND


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_an_urgent_run_waits_for_its_victims_only_and_displaces_no_more_than_a_box_of_them(
    seed: int, count: int
) -> None:
    draw = random.Random(seed)
    names = [f"s{at:03}" for at in range(150)]
    lasts = {name: draw.randint(20, 60) for name in names} | {f"u{at}": 5 for at in range(4)}
    fleet = Fleet(boxes(count), preemptible=frozenset(names))
    waiting = [PendingRun(name, 5, NOON, Shape(cpu=draw.randint(1, 2))) for name in names]
    asked: dict[str, float] = {}
    for second in range(80):
        if second % 20 == 10:
            urgent = PendingRun(f"u{second // 20}", 15, fleet.now, Shape(cpu=4))
            asked[urgent.run_id] = (fleet.now - NOON).total_seconds()
            waiting.append(urgent)
        waiting = fleet.step(waiting, lasts)

    waits = [(fleet.started[name] - NOON).total_seconds() - at_s for name, at_s in asked.items()]
    assert max(waits) <= fleet.stop_s + 1
    assert len(fleet.displaced) <= 4 * len(asked)

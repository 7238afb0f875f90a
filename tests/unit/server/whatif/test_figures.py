from __future__ import annotations

import pytest
from hypothesis import given

from gyoza.server.whatif.figures import figures_of
from gyoza.server.whatif.fleet import Fleet
from gyoza.server.whatif.load import Load
from gyoza.server.whatif.replay import replay
from tests.unit.server.whatif.loads import GPU, HUGE, a_fleet, a_load, a_run, fleets, loads


def test_waits_are_from_the_submit_to_the_first_place() -> None:
    load = a_load(a_run(0, 60), a_run(10, 60), a_run(20, 60), a_run(30, 60))

    figures = figures_of(replay(load, a_fleet(cpu=1)))

    waits = figures.waits
    assert (waits.runs, waits.mean_s, waits.p50_s) == (4, 75.0, 50.0)
    assert (waits.p90_s, waits.p99_s, waits.most_s) == (150.0, 150.0, 150.0)
    assert figures.makespan_s == 240.0
    assert figures.deepest == 3


def test_use_is_what_was_held_of_what_there_is() -> None:
    load = a_load(a_run(0, 50, GPU), a_run(0, 100, GPU))

    figures = figures_of(replay(load, a_fleet(cpu=2, gpus=(16_000, 16_000))))

    assert figures.used == pytest.approx(
        {"cpu": 0.75, "ram": 0.75 * 2_000 / 64_000, "vram": 0.75 * 0.5}
    )
    assert figures.course.used["cpu"][0] == pytest.approx(1.0)
    assert figures.course.used["cpu"][-1] == pytest.approx(0.5)


def test_vram_is_left_out_where_there_is_none() -> None:
    figures = figures_of(replay(a_load(a_run()), a_fleet()))

    assert set(figures.used) == {"cpu", "ram"}


def test_the_queue_is_told_over_time() -> None:
    load = a_load(a_run(0, 120), a_run(0, 120, priority=1))

    course = figures_of(replay(load, a_fleet(cpu=1))).course

    assert course.part_s == 2.0
    assert course.queued == pytest.approx([1.0] * 60 + [0.0] * 60)


def test_waits_are_split_where_there_is_more_than_one_owner_op_or_priority() -> None:
    load = a_load(
        a_run(0, 60, owner="ann", op="tile", priority=5),
        a_run(0, 60, owner="bob", op="tile", priority=10),
        a_run(0, 60, op="tile", priority=5),
    )

    by = figures_of(replay(load, a_fleet(cpu=1))).by

    assert list(by) == ["owner", "priority"]
    assert {owner: waits.runs for owner, waits in by["owner"].items()} == {
        "": 1,
        "ann": 1,
        "bob": 1,
    }
    assert list(by["priority"]) == ["10", "5"]


def test_runs_that_can_never_be_placed_are_counted_apart() -> None:
    figures = figures_of(replay(a_load(a_run(shape=HUGE), a_run()), a_fleet()))

    assert (figures.runs, figures.never, figures.waits.runs) == (2, 1, 1)


def test_an_empty_load_has_figures_too() -> None:
    figures = figures_of(replay(a_load(), a_fleet()))

    assert (figures.runs, figures.makespan_s, figures.waits.mean_s) == (0, 0.0, 0.0)


@given(loads, fleets)
def test_nobody_uses_more_than_there_is(load: Load, fleet: Fleet) -> None:
    figures = figures_of(replay(load, fleet))

    parts = [part for course in figures.course.used.values() for part in course]
    assert all(-1e-6 <= part <= 1 + 1e-6 for part in parts)
    assert all(depth >= -1e-6 for depth in figures.course.queued)


@given(loads, fleets)
def test_the_mean_queue_is_all_waits_together_over_the_whole_time(load: Load, fleet: Fleet) -> None:
    figures = figures_of(replay(load, fleet))

    waited_s = figures.waits.mean_s * figures.waits.runs
    queued_s = sum(figures.course.queued) * figures.course.part_s
    assert queued_s == pytest.approx(waited_s, abs=1e-3)

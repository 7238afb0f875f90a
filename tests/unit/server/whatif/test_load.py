from __future__ import annotations

import statistics

import pytest

from gyoza.server.whatif.load import LoadClass, drawn, recorded
from tests.unit.server.whatif.loads import GPU, SMALL, a_run

DAY_S = 86_400.0


def test_a_load_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    classes = [LoadClass("a", 60, 100, SMALL, spread=0.5)]

    assert drawn("x", classes, DAY_S, seed=1) == drawn("x", classes, DAY_S, seed=1)
    assert drawn("x", classes, DAY_S, seed=1) != drawn("x", classes, DAY_S, seed=2)


def test_a_class_beside_another_changes_none_of_its_runs() -> None:
    small, other = LoadClass("a", 60, 100, SMALL, spread=0.5), LoadClass("b", 60, 100, GPU)

    alone = drawn("x", [small], DAY_S, seed=1)
    both = drawn("x", [other, small], DAY_S, seed=1)

    assert [run for run in both.runs if run.shape == SMALL] == list(alone.runs)


def test_rate_mean_and_spread_come_out_as_described() -> None:
    load = drawn("x", [LoadClass("a", 600, 100, SMALL, spread=0.5)], DAY_S, seed=1)

    durations = [run.duration_s for run in load.runs]
    assert len(durations) == pytest.approx(24 * 600, rel=0.03)
    assert statistics.mean(durations) == pytest.approx(100, rel=0.03)
    assert statistics.stdev(durations) == pytest.approx(50, rel=0.1)


def test_without_spread_all_take_the_same() -> None:
    load = drawn("x", [LoadClass("a", 60, 100, SMALL)], DAY_S, seed=1)

    assert {run.duration_s for run in load.runs} == {100}


def test_runs_of_a_sweep_come_together_at_the_same_rate() -> None:
    load = drawn("x", [LoadClass("a", 600, 100, SMALL, at_once=50)], DAY_S, seed=1)

    moments = [run.submitted_s for run in load.runs]
    assert len(moments) == 50 * len(set(moments))
    assert len(moments) == pytest.approx(24 * 600, rel=0.2)


def test_a_class_comes_in_its_hours_only() -> None:
    kind = LoadClass("a", 600, 100, SMALL, from_s=3600, until_s=7200)

    moments = [run.submitted_s for run in drawn("x", [kind], DAY_S, seed=1).runs]

    assert min(moments) >= 3600
    assert max(moments) < 7200


def test_recorded_runs_are_put_into_the_order_of_their_submits() -> None:
    load = recorded("x", [a_run(5), a_run(1)])

    assert [run.submitted_s for run in load.runs] == [1, 5]
    assert load.span_s == 5

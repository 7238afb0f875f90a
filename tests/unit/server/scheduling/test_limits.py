"""What holds runs back whatever room there is."""

from __future__ import annotations

from typing import Any

from gyoza.server.scheduling.planner import Plan, plan
from gyoza.server.scheduling.snapshot import Holding, Limits, PendingRun, Shape, Snapshot
from gyoza.server.scheduling.snapshot import WorkerSnapshot as Worker
from tests.unit.server.scheduling.strategies import NOON


def a_run(name: str, **given: Any) -> PendingRun:
    neutral: dict[str, Any] = {"priority": 5, "shape": Shape(cpu=1), "op": "count"}
    return PendingRun(name, created_at=NOON, **{**neutral, **given})


def planned(
    limits: Limits, *runs: PendingRun, held: tuple[Holding, ...] = (), cpu: int = 9
) -> Plan:
    box = Worker("w", "w", "READY", cpu, 8000, reserved_cpu=len(held), holdings=held)
    return plan(Snapshot(NOON, runs, (box,), limits=limits))


def placed(made: Plan) -> list[str]:
    return [each.run.run_id for each in made.placements]


def rules(made: Plan) -> list[str]:
    return [each.rule.text if each.rule else "" for each in made.unplaced]


def test_nothing_of_a_paused_op_is_placed() -> None:
    made = planned(Limits(paused=frozenset({"count"})), a_run("a"), a_run("b", op="other"))

    assert placed(made) == ["b"]
    assert rules(made) == ["op count is paused"]
    assert made.unplaced[0].rule is not None
    assert made.unplaced[0].rule.name == "paused"


def test_an_op_gets_no_more_places_than_its_most() -> None:
    runs = [a_run(f"r{at}") for at in range(5)]

    made = planned(Limits(op_most={"count": 3}), *runs, held=(Holding(NOON, 1, 0, op="count"),))

    assert placed(made) == ["r0", "r1"]
    assert rules(made) == ["op count runs 3 at once, its most is 3"] * 3


def test_an_attempt_that_was_lost_counts_as_long_as_its_container_may_be_there() -> None:
    lost = Holding(NOON, 1, 0, op="count", lost=True)

    made = planned(Limits(op_most={"count": 1}), a_run("a"), held=(lost,))

    assert placed(made) == []


def test_an_owner_gets_no_more_places_than_its_most_whatever_the_ops() -> None:
    runs = [a_run(f"r{at}", owner="ann", op=f"op{at}") for at in range(3)]

    made = planned(Limits(owner_most={"ann": 2}), *runs, a_run("s", owner="ben"))

    assert placed(made) == ["r0", "s", "r1"]
    assert rules(made) == ["owner ann has 2 at work, the most is 2"]


def test_an_op_over_its_most_tells_the_true_figure() -> None:
    held = tuple(Holding(NOON, 1, 0, op="count") for _ in range(3))

    made = planned(Limits(op_most={"count": 2}), a_run("a"), held=held)

    assert rules(made) == ["op count runs 3 at once, its most is 2"]


def test_ad_hoc_images_are_of_no_op() -> None:
    made = planned(Limits(op_most={"count": 0}), a_run("a", op=None))

    assert placed(made) == ["a"]


def test_no_worker_is_kept_for_a_run_that_a_rule_holds_back() -> None:
    full = (Holding(NOON, 1, 0),)
    paused = a_run("paused", priority=9)

    made = planned(
        Limits(paused=frozenset({"count"})), paused, a_run("b", op=None), held=full, cpu=1
    )

    assert made.promise is not None
    assert made.promise.run.run_id == "b"

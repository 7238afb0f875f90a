from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gyoza.server.scheduling.planner import plan
from gyoza.server.scheduling.position import SHOWN, position_of
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot, WorkerSnapshot
from tests.unit.server.scheduling.strategies import NOON, runs

ONE = Shape(cpu=1)


def waits(run_id: str, *, age_s: float = 0, priority: int = 5, owner: str = "ada") -> PendingRun:
    return PendingRun(run_id, priority, NOON - timedelta(seconds=age_s), ONE, owner)


def waiting(*found: PendingRun) -> Snapshot:
    return Snapshot(NOON, found, (WorkerSnapshot("w", "w", "READY", 4, 8000),))


def test_older_and_more_urgent_runs_come_first() -> None:
    snapshot = waiting(waits("c"), waits("b", age_s=9), waits("a", priority=6), waits("d", age_s=5))

    position = position_of("d", snapshot)

    assert (position.ahead, position.exact) == (2, True)
    assert [run.run_id for run in position.first] == ["a", "b"]


def test_another_owners_backlog_is_not_ahead_of_a_newcomer() -> None:
    backlog = [waits(f"b{n}", age_s=100 - n, owner="bea") for n in range(20)]

    position = position_of("a", waiting(*backlog, waits("a", owner="ada")))

    assert position.ahead == 1


def test_behind_what_was_not_read_nothing_is_exact() -> None:
    position = position_of(
        "c", waiting(waits("a", age_s=9), waits("b", age_s=8), waits("c")), {"b"}
    )

    assert (position.ahead, position.exact) == (2, False)


def test_only_the_next_few_are_named() -> None:
    many = [waits(f"a{n:02}", age_s=100 - n) for n in range(20)]

    position = position_of("z", waiting(*many, waits("z")))

    assert (position.ahead, len(position.first)) == (20, SHOWN)


@given(st.lists(runs(), min_size=1, max_size=9, unique_by=lambda run: run.run_id))
def test_the_order_is_the_planners_own(found: list[PendingRun]) -> None:
    roomy = WorkerSnapshot("w", "w", "READY", 10**6, 10**9)
    free = [PendingRun(r.run_id, r.priority, r.created_at, ONE, r.owner) for r in found]
    snapshot = Snapshot(NOON, tuple(free), (roomy,))

    order = [each.run.run_id for each in plan(snapshot).placements]

    assert [position_of(run_id, snapshot).ahead for run_id in order] == list(range(len(order)))

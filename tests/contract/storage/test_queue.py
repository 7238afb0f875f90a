"""What every engine promises about the queue: order, due times and the server's own deadlines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gyoza.models import Constraints, Execution, OpRun, Timeouts
from gyoza.server.clock import ManualClock
from gyoza.server.storage.lanes import AWAITING_KEY, AWAITING_RUNS, Barred, lane_of
from gyoza.server.storage.records import Overdue, PendingRun
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork


def added(store: Store, clock: ManualClock, **fields: Any) -> OpRun:
    run = OpRun.create(fields.pop("image", "busybox"), now=clock.now(), **fields)
    store.write_now(lambda uow: uow.runs.add([run]))
    return run


def changed(store: Store, run: OpRun, change: Callable[[OpRun], object]) -> None:
    def do(uow: UnitOfWork) -> None:
        stored = uow.runs.get(run.id)
        change(stored)
        uow.runs.save(stored)

    store.write_now(do)


def heads(store: Store, clock: ManualClock, limit: int = 10) -> list[PendingRun]:
    return store.read_now(lambda uow: uow.runs.lane_heads(limit, clock.now()))


def names(found: list[PendingRun]) -> list[str]:
    return [pending.run_id for pending in found]


def overdue(store: Store, clock: ManualClock) -> list[Overdue]:
    return store.read_now(lambda uow: uow.runs.overdue(clock.now(), 10))


def limited(**limits: float) -> Execution:
    return Execution(timeouts=Timeouts(**limits))


class TestLanes:
    def test_runs_that_differ_in_age_only_share_a_lane_oldest_first(
        self, store: Store, clock: ManualClock
    ) -> None:
        alike: dict[str, Any] = {
            "priority": 3,
            "constraints": Constraints(2, 512, None),
            "execution": Execution(selectors={"b": "1", "a": "2"}),
            "owner": "ada",
            "op_definition": "count",
        }
        old = added(store, clock, **alike)
        clock.advance(1)
        twins = sorted(added(store, clock, **alike).id for _ in range(2))

        [head] = heads(store, clock)

        lane = store.read_now(lambda uow: uow.runs.lane(head.lane, 10, clock.now()))
        assert names(lane) == [old.id, *twins]

    @pytest.mark.parametrize(
        "different",
        [
            {"priority": 4},
            {"owner": "ben"},
            {"op_definition": "count"},
            {"constraints": Constraints(2, 513, None)},
            {"constraints": Constraints(None, 512, None)},
            {"execution": Execution(selectors={"zone": "a"})},
        ],
    )
    def test_whatever_matters_to_the_planner_makes_another_lane(
        self, store: Store, clock: ManualClock, different: dict[str, Any]
    ) -> None:
        usual: dict[str, Any] = {
            "priority": 3,
            "constraints": Constraints(2, 512, None),
            "owner": "ada",
        }
        added(store, clock, **usual)
        added(store, clock, **{**usual, **different})

        assert len(heads(store, clock)) == 2

    def test_heads_come_by_priority_so_that_a_limit_cuts_the_lowest(
        self, store: Store, clock: ManualClock
    ) -> None:
        runs = {priority: added(store, clock, priority=priority) for priority in (5, -1, 100, 10)}

        found = names(heads(store, clock, limit=3))

        assert found == [runs[100].id, runs[10].id, runs[5].id]

    def test_lanes_of_barred_ops_and_owners_are_passed_by_and_do_not_count(
        self, store: Store, clock: ManualClock
    ) -> None:
        for number in range(5):
            added(store, clock, op_definition="paused", priority=9, image=str(number))
            added(store, clock, owner="ada", priority=9, image=str(number))
        others = [added(store, clock, priority=0), added(store, clock, priority=1, owner="ben")]
        barred = Barred(["paused"], ["ada"])

        found = store.read_now(lambda uow: uow.runs.lane_heads(2, clock.now(), barred))

        assert names(found) == [others[1].id, others[0].id]

    def test_who_awaits_runs_or_a_key_stands_beside_the_queue(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = added(store, clock)
        for phase in (AWAITING_RUNS, AWAITING_KEY):
            changed(store, run, lambda each, phase=phase: setattr(each, "phase", phase))
            assert heads(store, clock) == []

        changed(store, run, lambda each: setattr(each, "phase", None))

        assert names(heads(store, clock)) == [run.id]

    def test_it_shows_what_a_planner_needs(self, store: Store, clock: ManualClock) -> None:
        run = added(
            store,
            clock,
            priority=3,
            constraints=Constraints(2, 512, 8000),
            execution=Execution(selectors={"zone": "a"}),
            owner="ada",
        )

        [head] = heads(store, clock)

        assert head == PendingRun(
            run_id=run.id,
            lane=lane_of(run),
            priority=3,
            created_at=run.created_at,
            cpu=2,
            ram_mb=512,
            vram_mb=8000,
            selectors={"zone": "a"},
            owner="ada",
            op=None,
            op_version=None,
            image="busybox",
        )

    def test_only_pending_runs_are_in_one(self, store: Store, clock: ManualClock) -> None:
        run = added(store, clock)

        changed(store, run, lambda each: each.assign("wrk_1", now=clock.now()))

        assert heads(store, clock) == []

    def test_a_change_of_priority_is_a_change_of_lane(
        self, store: Store, clock: ManualClock
    ) -> None:
        first, second = added(store, clock), added(store, clock)

        changed(store, second, lambda each: each.set_priority(7))

        assert names(heads(store, clock)) == [second.id, first.id]

    def test_a_run_that_is_not_due_holds_no_lane_back(
        self, store: Store, clock: ManualClock
    ) -> None:
        later = added(store, clock, due_at=clock.now() + timedelta(seconds=10))
        clock.advance(1)
        now = added(store, clock)

        assert names(heads(store, clock)) == [now.id]
        clock.advance(10)
        store.write_now(lambda uow: uow.runs.ripen(clock.now()))
        assert names(heads(store, clock)) == [later.id]

    def test_a_ripened_run_counts_by_its_priority(self, store: Store, clock: ManualClock) -> None:
        for _ in range(2):
            added(store, clock, priority=1, due_at=clock.now() + timedelta(seconds=1))
        urgent = added(store, clock, priority=9, due_at=clock.now() + timedelta(seconds=2))
        clock.advance(5)

        ripened = store.write_now(lambda uow: uow.runs.ripen(clock.now()))

        assert ripened == 3
        assert names(heads(store, clock, limit=1)) == [urgent.id]

    def test_the_next_due_time_is_known(self, store: Store, clock: ManualClock) -> None:
        assert store.read_now(lambda uow: uow.runs.next_due()) is None
        due_at = clock.now() + timedelta(seconds=30)
        added(store, clock, due_at=due_at + timedelta(seconds=9))
        added(store, clock, due_at=due_at)

        assert store.read_now(lambda uow: uow.runs.next_due()) == due_at


class TestDeadlines:
    def test_a_run_that_waits_longer_than_its_queue_time_is_overdue(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = added(store, clock, execution=limited(queue_s=5))

        clock.advance(4.999999)
        early = overdue(store, clock)
        clock.advance(0.000001)

        assert early == []
        assert overdue(store, clock) == [Overdue(run.id, "QUEUE")]

    def test_an_assigned_run_waits_no_more(self, store: Store, clock: ManualClock) -> None:
        run = added(store, clock, execution=limited(queue_s=5))

        changed(store, run, lambda each: each.assign("wrk_1", now=clock.now()))
        clock.advance(6)

        assert overdue(store, clock) == []

    def test_a_run_that_is_given_back_waits_anew(self, store: Store, clock: ManualClock) -> None:
        run = added(store, clock, execution=limited(queue_s=5))
        clock.advance(4)
        changed(store, run, lambda each: each.assign("wrk_1", now=clock.now()))
        changed(store, run, lambda each: each.release(now=clock.now()))

        clock.advance(4)

        assert overdue(store, clock) == []

    def test_a_change_of_priority_does_not_restart_the_waiting(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = added(store, clock, execution=limited(queue_s=5))
        clock.advance(4)

        changed(store, run, lambda each: each.set_priority(7))
        clock.advance(1)

        assert overdue(store, clock) == [Overdue(run.id, "QUEUE")]

    def test_waiting_for_the_due_time_is_not_waiting_in_the_queue(
        self, store: Store, clock: ManualClock
    ) -> None:
        due_at = clock.now() + timedelta(seconds=60)
        added(store, clock, execution=limited(queue_s=5), due_at=due_at)

        clock.advance(64)

        assert overdue(store, clock) == []

    def test_a_run_older_than_its_total_time_is_overdue_wherever_it_is(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = added(store, clock, execution=limited(queue_s=5, total_s=5))
        held = added(store, clock, execution=limited(total_s=5))
        changed(store, held, lambda each: each.assign("wrk_1", now=clock.now()))

        clock.advance(5)

        assert set(overdue(store, clock)) == {Overdue(run.id, "TOTAL"), Overdue(held.id, "TOTAL")}

    def test_an_ended_run_is_never_overdue(self, store: Store, clock: ManualClock) -> None:
        run = added(store, clock, execution=limited(queue_s=1, total_s=1))

        changed(store, run, lambda each: each.cancel("no", now=clock.now()))
        clock.advance(9)

        assert overdue(store, clock) == []

    def test_a_retry_by_hand_gets_the_whole_total_time_again(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = added(store, clock, execution=limited(total_s=5))
        changed(store, run, lambda each: each.cancel("no", now=clock.now()))
        clock.advance(9)
        changed(store, run, lambda each: each.retry(force=True, now=clock.now()))

        clock.advance(4)
        early = overdue(store, clock)
        clock.advance(1)

        assert early == []
        assert overdue(store, clock) == [Overdue(run.id, "TOTAL")]

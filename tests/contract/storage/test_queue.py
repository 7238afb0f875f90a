"""What every engine promises about the queue: order, due times and the server's own deadlines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gyoza.models import Constraints, Execution, OpRun, Timeouts
from gyoza.server.clock import ManualClock
from gyoza.server.storage.records import Overdue, PendingRun
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork


def added(store: Store, clock: ManualClock, **fields: Any) -> OpRun:
    run = OpRun.create("busybox", now=clock.now(), **fields)
    store.write_now(lambda uow: uow.runs.add([run]))
    return run


def changed(store: Store, run: OpRun, change: Callable[[OpRun], object]) -> None:
    def do(uow: UnitOfWork) -> None:
        stored = uow.runs.get(run.id)
        change(stored)
        uow.runs.save(stored)

    store.write_now(do)


def window(store: Store, clock: ManualClock, limit: int = 10) -> list[PendingRun]:
    return store.read_now(lambda uow: uow.runs.pending_window(limit, clock.now()))


def overdue(store: Store, clock: ManualClock) -> list[Overdue]:
    return store.read_now(lambda uow: uow.runs.overdue(clock.now(), 10))


def limited(**limits: float) -> Execution:
    return Execution(timeouts=Timeouts(**limits))


class TestWindow:
    def test_priority_comes_before_age_and_age_before_id(
        self, store: Store, clock: ManualClock
    ) -> None:
        old = added(store, clock, priority=1)
        clock.advance(1)
        twins = sorted(added(store, clock, priority=1).id for _ in range(2))
        urgent = added(store, clock, priority=9)

        found = [pending.run_id for pending in window(store, clock)]

        assert found == [urgent.id, old.id, *twins]

    def test_it_shows_what_a_planner_needs(self, store: Store, clock: ManualClock) -> None:
        run = added(
            store,
            clock,
            priority=3,
            constraints=Constraints(2, 512, 8000),
            execution=Execution(selectors={"zone": "a"}),
            owner="ada",
            op_definition="count",
            image_digest="sha256:1",
        )

        assert window(store, clock) == [
            PendingRun(
                run_id=run.id,
                version=1,
                priority=3,
                created_at=run.created_at,
                cpu=2,
                ram_mb=512,
                vram_mb=8000,
                selectors={"zone": "a"},
                owner="ada",
                op="count",
                image="busybox",
                image_digest="sha256:1",
            )
        ]

    def test_only_pending_runs_are_in_it(self, store: Store, clock: ManualClock) -> None:
        run = added(store, clock)

        changed(store, run, lambda each: each.assign("wrk_1", now=clock.now()))

        assert window(store, clock) == []

    def test_a_run_appears_when_its_due_time_comes(self, store: Store, clock: ManualClock) -> None:
        run = added(store, clock, due_at=clock.now() + timedelta(seconds=10))

        early = window(store, clock)
        clock.advance(10)

        assert early == []
        assert [pending.run_id for pending in window(store, clock)] == [run.id]

    def test_a_ripened_run_counts_by_its_priority(self, store: Store, clock: ManualClock) -> None:
        for _ in range(2):
            added(store, clock, priority=1, due_at=clock.now() + timedelta(seconds=1))
        urgent = added(store, clock, priority=9, due_at=clock.now() + timedelta(seconds=2))
        clock.advance(5)

        ripened = store.write_now(lambda uow: uow.runs.ripen(clock.now()))

        assert ripened == 3
        assert [pending.run_id for pending in window(store, clock, limit=1)] == [urgent.id]

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

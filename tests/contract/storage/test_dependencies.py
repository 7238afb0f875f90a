"""What every engine promises about runs that come after others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gyoza.models import Execution, OpRun, OpRunState, Timeouts
from gyoza.server.clock import ManualClock
from gyoza.server.storage.lanes import AWAITING_RUNS
from gyoza.server.storage.records import Overdue
from gyoza.server.storage.repositories.dependencies import Awaited, Condition
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork


def added(store: Store, clock: ManualClock) -> OpRun:
    run = OpRun.create("busybox", now=clock.now())
    store.write_now(lambda uow: uow.runs.add([run]))
    return run


def after(
    store: Store,
    clock: ManualClock,
    *others: OpRun,
    condition: Condition = "success",
    execution: Execution | None = None,
) -> OpRun:
    run = OpRun.create("busybox", now=clock.now(), execution=execution)
    run.phase = AWAITING_RUNS

    def add(uow: UnitOfWork) -> None:
        uow.runs.add([run])
        uow.dependencies.add(Awaited(run.id, other.id, condition) for other in others)

    store.write_now(add)
    return run


def changed(store: Store, run: OpRun, change: Callable[[OpRun], object]) -> None:
    def do(uow: UnitOfWork) -> None:
        stored = uow.runs.get(run.id)
        change(stored)
        uow.runs.save(stored)

    store.write_now(do)


def completed(store: Store, run: OpRun) -> None:
    changed(store, run, lambda each: (each.assign("wrk_1"), each.complete()))


def failed(store: Store, run: OpRun) -> None:
    changed(store, run, lambda each: each.fail("no", reason="OOM"))


def now_of(store: Store, run: OpRun) -> tuple[OpRunState, str | None, str | None]:
    found = store.read_now(lambda uow: uow.runs.get(run.id))
    return found.state, found.phase, found.reason


def ready(store: Store, clock: ManualClock) -> set[str]:
    found = store.read_now(lambda uow: uow.runs.lane_heads(10, clock.now()))
    return {each.run_id for each in found}


def left_over(store: Store) -> list[str]:
    return store.read_now(lambda uow: uow.dependencies.left_over(10))


def test_who_waits_is_not_in_the_queue_before_all_have_completed(
    store: Store, clock: ManualClock
) -> None:
    first, second = added(store, clock), added(store, clock)
    run = after(store, clock, first, second)

    completed(store, first)

    assert now_of(store, run) == (OpRunState.PENDING, AWAITING_RUNS, None)
    assert run.id not in ready(store, clock)
    completed(store, second)
    assert now_of(store, run) == (OpRunState.PENDING, None, None)
    assert run.id in ready(store, clock)


@pytest.mark.parametrize("end", [completed, failed])
def test_who_waits_for_any_end_is_let_go_by_every_end(
    store: Store, clock: ManualClock, end: Callable[[Store, OpRun], None]
) -> None:
    first = added(store, clock)
    run = after(store, clock, first, condition="any")

    end(store, first)

    assert now_of(store, run) == (OpRunState.PENDING, None, None)


def test_one_failure_cancels_at_once_and_says_whose_it_was(
    store: Store, clock: ManualClock
) -> None:
    first, second = added(store, clock), added(store, clock)
    run = after(store, clock, first, second)

    failed(store, first)

    assert now_of(store, run) == (OpRunState.CANCELLED, None, "DEPENDENCY_FAILED")
    [entry] = store.read_now(lambda uow: uow.runs.events(run.id))
    assert entry.entry.msg == f"comes after {first.id}, which ended FAILED (OOM)"
    assert store.read_now(lambda uow: uow.runs.comes_after(run.id)) == []


def test_a_cancelled_run_takes_those_with_it_that_wait_for_it(
    store: Store, clock: ManualClock
) -> None:
    first = added(store, clock)
    second = after(store, clock, first)
    third = after(store, clock, second)
    whatever = after(store, clock, second, condition="any")

    failed(store, first)

    assert now_of(store, third) == (OpRunState.CANCELLED, None, "DEPENDENCY_FAILED")
    assert now_of(store, whatever) == (OpRunState.PENDING, None, None)


def test_a_run_that_fails_and_is_retried_at_the_same_moment_has_not_ended(
    store: Store, clock: ManualClock
) -> None:
    first = added(store, clock)
    run = after(store, clock, first)

    changed(store, first, lambda each: (each.fail("no", reason="OOM"), each.retry(force=True)))

    assert now_of(store, run) == (OpRunState.PENDING, AWAITING_RUNS, None)


def test_waiting_for_others_is_no_waiting_for_a_worker(store: Store, clock: ManualClock) -> None:
    first = added(store, clock)
    run = after(store, clock, first, execution=Execution(timeouts=Timeouts(queue_s=60)))
    clock.advance(100)

    before = store.read_now(lambda uow: uow.runs.overdue(clock.now(), 10))
    completed(store, first)
    clock.advance(59)
    let_go = store.read_now(lambda uow: uow.runs.overdue(clock.now(), 10))
    clock.advance(1)
    at_last = store.read_now(lambda uow: uow.runs.overdue(clock.now(), 10))

    assert (before, let_go, at_last) == ([], [], [Overdue(run.id, "QUEUE")])


def test_what_one_transaction_leaves_over_is_taken_up(store: Store, clock: ManualClock) -> None:
    first = added(store, clock)
    waiting = [OpRun.create("busybox", now=clock.now()) for _ in range(501)]

    def add(uow: UnitOfWork) -> None:
        for each in waiting:
            each.phase = AWAITING_RUNS
        uow.runs.add(waiting)
        uow.dependencies.add(Awaited(each.id, first.id, "success") for each in waiting)

    def left() -> int:
        return store.read_now(lambda uow: uow.runs.count_by_state())[OpRunState.PENDING]

    store.write_now(add)
    failed(store, first)

    assert left() == 1
    assert left_over(store) == [first.id]
    store.write_now(lambda uow: uow.dependencies.take_up([first.id]))
    assert left() == 0
    assert left_over(store) == []


def test_what_was_left_over_goes_on_waiting_if_the_run_before_was_retried(
    store: Store, clock: ManualClock
) -> None:
    first = added(store, clock)
    failed(store, first)
    waits = after(store, clock, first)  # as if it had been left over
    assert left_over(store) == [first.id]

    changed(store, first, lambda each: each.retry(force=True, now=clock.now()))
    store.write_now(lambda uow: uow.dependencies.take_up([first.id]))

    assert now_of(store, waits) == (OpRunState.PENDING, AWAITING_RUNS, None)


def test_a_run_is_not_pruned_while_somebody_has_still_to_learn_how_it_ended(
    store: Store, clock: ManualClock
) -> None:
    first = added(store, clock)
    failed(store, first)
    after(store, clock, first)  # as if it had been left over
    clock.advance(100)

    def prune(uow: UnitOfWork) -> int:
        return uow.runs.prune_ended(clock.now() - timedelta(seconds=50), 10)

    assert store.write_now(prune) == 0
    store.write_now(lambda uow: uow.dependencies.take_up([first.id]))
    assert store.write_now(prune) == 1


def test_states_are_told_of_those_that_exist(store: Store, clock: ManualClock) -> None:
    run = added(store, clock)

    found = store.read_now(lambda uow: uow.dependencies.states_of([run.id, "run_nobody"]))

    assert found == {run.id: OpRunState.PENDING}

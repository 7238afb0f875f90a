"""Runs that come after others, from the submit to the start or the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gyoza.models import OpRun, OpRunState
from gyoza.models.timestamps import format_time
from gyoza.server.errors import InvalidInput
from gyoza.server.loops.settler import Settler
from gyoza.server.storage.lanes import AWAITING_KEY, AWAITING_RUNS
from gyoza.server.use_cases import runs
from tests.integration.server_core.world import World


def phase(world: World, run: OpRun) -> tuple[str, str | None]:
    found = world.run(run.id)
    return found.state.value, found.phase


def refused(world: World, **given: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        world.submit(**given)
    return [(fault.pointer, fault.message) for fault in caught.value.faults]


def test_a_run_starts_once_the_one_before_has_completed(world: World) -> None:
    box = world.worker()
    first = world.submit()
    second = world.submit(after=[first.id])

    taken = box.take()

    assert (second.phase, taken.run_id) == (AWAITING_RUNS, first.id)
    box.started(taken)
    box.ends(taken)
    assert box.take().run_id == second.id


def test_a_failed_attempt_that_is_retried_ends_nothing(world: World) -> None:
    box = world.worker()
    first = world.submit(retry_policy={"max_attempts": 2})
    second = world.submit(after_any=[first.id])

    taken = box.take()
    box.started(taken)
    box.ends(taken, "FAILED", reason="USER_ERROR")

    assert world.run(first.id).state is OpRunState.PENDING
    assert phase(world, second) == ("PENDING", AWAITING_RUNS)


def test_who_may_start_after_any_end_starts_after_a_cancel(world: World) -> None:
    box = world.worker()
    first = world.submit()
    second = world.submit(after_any=[first.id])
    third = world.submit(after=[first.id])

    world.cancel(first.id)

    assert box.take().run_id == second.id
    assert world.run(third.id).reason == "DEPENDENCY_FAILED"


def test_a_run_named_both_ways_has_to_complete(world: World) -> None:
    first = world.submit()
    second = world.submit(after=[first.id], after_any=[first.id])

    world.cancel(first.id)

    assert phase(world, second) == ("CANCELLED", None)


def test_the_beginning_of_an_id_is_enough(world: World) -> None:
    first = world.submit()

    second = world.submit(after=[first.id[:-3]])

    assert world.do(lambda uow: uow.runs.comes_after(second.id)) == [first.id]


def test_who_comes_after_completed_runs_does_not_wait(world: World) -> None:
    box = world.worker()
    first = world.submit()
    taken = box.take()
    box.started(taken)
    box.ends(taken)

    second = world.submit(after=[first.id])

    assert second.phase is None
    assert box.take().run_id == second.id


def test_who_would_come_after_a_failure_is_refused(world: World) -> None:
    first = world.submit()
    world.cancel(first.id)

    faults = refused(world, after=[first.id])

    [(pointer, message)] = faults
    assert pointer == "/after/0"
    assert f"{first.id} ended CANCELLED" in message
    assert "--after-any" in message
    assert world.submit(after_any=[first.id]).phase is None


def test_every_unknown_run_is_named(world: World) -> None:
    faults = refused(world, after=["run_nobody1", "short"], after_any=["run_nobody2"])

    assert [pointer for pointer, _ in faults] == ["/after/0", "/after/1", "/after_any/0"]
    assert "run_nobody1" in faults[0][1]
    assert "gyoza ps" in faults[0][1]


def test_a_hundred_runs_may_be_named_and_no_more(world: World) -> None:
    first = world.submit()

    faults = refused(world, after=[first.id] * 60, after_any=[first.id] * 41)

    assert [pointer for pointer, _ in faults] == ["/after"]
    assert "101" in faults[0][1]
    assert world.submit(after=[first.id] * 60, after_any=[first.id] * 40).phase == AWAITING_RUNS


def test_of_a_batch_each_waits_or_is_refused_for_itself(world: World) -> None:
    first = world.submit()
    documents = [
        {"image": "busybox", "after": [first.id]},
        {"image": "busybox", "after": ["run_nobody1"]},
        {"image": "busybox"},
    ]

    outcomes = world.do(lambda uow: runs.submit_batch(uow, documents, world.outside)).outcomes

    waits, refusal, free = outcomes
    assert isinstance(refusal, InvalidInput)
    assert world.run(str(waits)).phase == AWAITING_RUNS
    assert world.run(str(free)).phase is None


def test_a_delayed_run_waits_for_its_time_too(world: World) -> None:
    box = world.worker()
    first = world.submit(priority=9)
    due = world.clock.now() + timedelta(seconds=60)
    second = world.submit(after=[first.id], due_at=format_time(due))
    taken = box.take()
    box.started(taken)
    box.ends(taken)

    early = world.dispatch()
    world.clock.advance(60)
    box.heartbeat()

    assert early == []
    assert box.take().run_id == second.id


def test_a_run_that_is_due_goes_on_waiting_for_the_other(world: World) -> None:
    world.worker()
    first = world.submit(due_at=format_time(world.clock.now() + timedelta(seconds=90)))
    due = world.clock.now() + timedelta(seconds=30)
    second = world.submit(after=[first.id], due_at=format_time(due))

    world.clock.advance(40)

    assert world.dispatch() == []
    assert phase(world, second) == ("PENDING", AWAITING_RUNS)


def test_who_is_let_go_stands_in_line_for_its_key(world: World) -> None:
    key = {"concurrency": {"key": "licence", "limit": 1}}
    box = world.worker()
    first, holder = world.submit(priority=9), world.submit(priority=8, execution=key)
    second = world.submit(after=[first.id], execution=key)
    world.dispatch()

    of_first, _ = sorted(box.claim(), key=lambda each: each.run_id != first.id)
    box.started(of_first)
    box.ends(of_first)

    assert phase(world, second) == ("PENDING", AWAITING_KEY)
    world.cancel(holder.id)
    assert world.run(holder.id).phase == "STOPPING"


def test_a_retry_by_hand_waits_for_nobody(world: World) -> None:
    box = world.worker()
    first, other = world.submit(), world.submit(due_at="2999-01-01T00:00:00Z")
    second = world.submit(after=[first.id, other.id])
    world.cancel(first.id)

    world.retry(second.id)

    assert box.take().run_id == second.id
    assert world.do(lambda uow: uow.runs.comes_after(second.id)) == []


def test_retrying_what_failed_does_not_bring_back_who_was_cancelled(world: World) -> None:
    first = world.submit()
    second = world.submit(after=[first.id])
    world.cancel(first.id)

    world.retry(first.id)

    assert phase(world, second) == ("CANCELLED", None)


@pytest.mark.anyio
async def test_the_settler_ends_what_one_transaction_left_over(world: World) -> None:
    first = world.submit()
    documents = [{"image": "busybox", "after": [first.id]}] * 1200
    world.do(lambda uow: runs.submit_batch(uow, documents, world.outside))
    settler = Settler(world.store)
    world.cancel(first.id)

    delays = [await settler.tick() for _ in range(3)]

    left = world.do(lambda uow: uow.runs.count_by_state())
    assert left[OpRunState.PENDING] == 0
    assert delays[:2] == [0.0, 0.0]
    assert delays[2] > world.outside.settings.rescue_interval_s


@pytest.mark.anyio
async def test_the_settler_is_woken_by_an_end_that_left_some_over(world: World) -> None:
    few, many = world.submit(), world.submit()
    for first, count in ((few, 3), (many, 501)):
        documents = [{"image": "busybox", "after_any": [first.id]}] * count
        world.do(lambda uow, documents=documents: runs.submit_batch(uow, documents, world.outside))

    async with world.store.wakeups.subscribe("dependents") as waiter:
        world.cancel(few.id)
        after_few = await waiter.wait(0.05)
        world.cancel(many.id)
        after_many = await waiter.wait(5.0)

    assert (after_few, after_many) == (False, True)

"""Runs that make way for a much more urgent one, and wait again: what wins over what."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.models import OpRun, OpRunState
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.storage.preemptions import MOST_PREEMPTIONS
from gyoza.server.use_cases import preemption
from gyoza.wire.messages import Assignment
from tests.integration.server_core.world import Worker, World

MESSAGE = "made way for {}, whose priority is 90; its own is 5"


def a_full_box(world: World, **given: Any) -> tuple[Worker, OpRun, Assignment, OpRun]:
    """A box of one place: a run that may give way is at work there, an urgent one waits."""
    worker = world.worker(cpu=1)
    run = world.submit(execution={"preemptible": True}, **given)
    assignment = worker.take()
    worker.started(assignment)
    urgent = world.submit(priority=90)
    return worker, run, assignment, urgent


def test_who_makes_way_waits_again_at_nobodys_cost_and_the_urgent_run_gets_the_place(
    world: World,
) -> None:
    worker, run, assignment, urgent = a_full_box(world)

    given = world.displace()
    asked = world.run(run.id)
    (order,) = worker.heartbeat(assignment).cancel
    worker.ends(assignment, "CANCELLED", exit_code=143)

    waits, ended = world.run(run.id), world.run(run.id).attempts[0]
    assert given == [run.id]
    assert (asked.state, asked.phase) == (OpRunState.RUNNING, "STOPPING")
    assert (order.reason, order.message) == ("PREEMPTED", MESSAGE.format(urgent.id))
    assert (ended.state, ended.reason, ended.charged) == (OpRunState.CANCELLED, "PREEMPTED", False)
    assert (waits.state, waits.phase, waits.due_at) == (OpRunState.PENDING, None, None)
    assert waits.current_attempt.attempt == 2
    assert world.dispatch() == [urgent.id]
    assert world.outside.tally.counts["attempt preempted"] == 1


def test_the_event_of_who_made_way_says_for_whom_and_that_it_is_not_the_end(world: World) -> None:
    worker, run, assignment, urgent = a_full_box(world)
    world.displace()
    worker.ends(assignment, "CANCELLED", exit_code=143)

    *_, closed, again = world.events(run.id)

    assert (closed.type, closed.msg) == ("CANCELLED", MESSAGE.format(urgent.id))
    assert (closed.payload["reason"], closed.payload["final"]) == ("PREEMPTED", False)
    assert closed.payload["retry"] == (
        "gave way 1 of at most 5 times, uses up no attempt, and waits again"
    )
    assert again.type == "RETRIED"


def test_an_assignment_that_nobody_has_begun_makes_way_at_once_as_the_same_attempt(
    world: World,
) -> None:
    worker = world.worker(cpu=1)
    run = world.submit(execution={"preemptible": True})
    world.dispatch()
    urgent = world.submit(priority=90)

    world.displace()

    waits = world.run(run.id)
    assert (waits.state, len(waits.attempts)) == (OpRunState.PENDING, 1)
    assert worker.claim() == []
    assert world.dispatch() == [urgent.id]


def test_a_run_that_completes_before_it_makes_way_is_completed(world: World) -> None:
    worker, run, assignment, urgent = a_full_box(world)
    world.displace()

    worker.ends(assignment, outputs={"n": 1})

    assert world.run(run.id).state is OpRunState.COMPLETED
    assert world.dispatch() == [urgent.id]


def test_a_run_that_failed_by_itself_before_it_could_make_way_has_failed(world: World) -> None:
    worker, run, assignment, _ = a_full_box(world)
    world.displace()

    worker.ends(assignment, "FAILED", reason="USER_ERROR", exit_code=1)

    found = world.run(run.id)
    assert (found.state, found.reason) == (OpRunState.FAILED, "USER_ERROR")


def test_a_cancel_wins_over_making_way(world: World) -> None:
    worker, run, assignment, _ = a_full_box(world)
    world.displace()

    _, over = world.cancel(run.id, "not needed")
    worker.ends(assignment, "CANCELLED", reason="PREEMPTED", exit_code=143)

    found = world.run(run.id)
    assert not over
    assert (found.state, found.reason) == (OpRunState.CANCELLED, "CANCELLED")
    assert len(found.attempts) == 1


def test_who_is_being_cancelled_is_not_asked_to_make_way(world: World) -> None:
    worker, run, assignment, urgent = a_full_box(world)
    world.cancel(run.id)
    eviction = Eviction(run.id, assignment.fence, worker.id, urgent.id)

    assert world.do(lambda uow: preemption.apply_evictions(uow, [eviction])) == []

    worker.ends(assignment, "CANCELLED", exit_code=143)
    assert world.run(run.id).state is OpRunState.CANCELLED


def test_a_worker_lost_while_its_run_makes_way_is_lost_and_the_run_is_tried_again(
    world: World,
) -> None:
    worker, run, assignment, _ = a_full_box(world)
    world.displace()
    world.clock.advance(120)

    world.expire_leases()
    late = worker.ends(assignment, "CANCELLED", exit_code=143)

    found = world.run(run.id)
    assert found.attempts[0].reason == "WORKER_LOST"
    assert (found.state, len(found.attempts)) == (OpRunState.PENDING, 2)
    assert late.status == "STALE"


def test_whose_lease_is_over_is_not_asked_to_make_way(world: World) -> None:
    worker, run, assignment, urgent = a_full_box(world)
    world.clock.advance(120)
    eviction = Eviction(run.id, assignment.fence, worker.id, urgent.id)

    assert world.do(lambda uow: preemption.apply_evictions(uow, [eviction])) == []


def test_an_assignment_given_back_while_it_makes_way_waits_again(world: World) -> None:
    worker = world.worker(cpu=1)
    run = world.submit(execution={"preemptible": True})
    assignment = worker.take()
    urgent = world.submit(priority=90)
    world.displace()

    worker.release(assignment)

    found = world.run(run.id)
    assert found.state is OpRunState.PENDING
    assert world.do(lambda uow: uow.runs.cancel_intent(run.id)) is None
    assert world.dispatch() == [urgent.id]


@pytest.mark.parametrize("what", ["another fence", "another worker", "not preemptible", "placed"])
def test_nothing_is_stopped_that_is_not_as_the_plan_saw_it(world: World, what: str) -> None:
    worker = world.worker(cpu=1)
    run = world.submit(execution={"preemptible": what != "not preemptible"})
    assignment = worker.take()
    urgent = world.submit(priority=90)
    if what == "placed":
        world.worker("other", cpu=1)
        world.dispatch()
    eviction = Eviction(
        run.id,
        assignment.fence + (what == "another fence"),
        "wrk_else" if what == "another worker" else worker.id,
        urgent.id,
    )

    assert world.do(lambda uow: preemption.apply_evictions(uow, [eviction])) == []

    assert world.run(run.id).phase is None


def test_victims_of_one_run_are_stopped_together_or_not_at_all(world: World) -> None:
    worker = world.worker(cpu=2)
    runs = [world.submit(execution={"preemptible": True}) for _ in range(2)]
    world.dispatch()
    first, second = worker.claim()
    urgent = world.submit(priority=90, constraints={"cpu": 2})
    evictions = [
        Eviction(each.run_id, each.fence, worker.id, urgent.id) for each in (first, second)
    ]
    worker.ends(first)

    assert world.do(lambda uow: preemption.apply_evictions(uow, evictions)) == []

    assert [world.run(run.id).phase for run in runs] == [None, None]


def test_making_way_uses_up_neither_attempts_nor_the_machinerys_budget_and_ends_some_time(
    world: World,
) -> None:
    worker = world.worker(cpu=1)
    run = world.submit(execution={"preemptible": True})
    for _ in range(MOST_PREEMPTIONS):
        assignment = worker.take()
        urgent = world.submit(priority=90)
        assert world.displace() == [run.id]
        worker.ends(assignment, "CANCELLED", exit_code=143)
        taken = worker.take()
        assert taken.run_id == urgent.id
        worker.ends(taken)
    assignment = worker.take()
    world.submit(priority=90)

    assert world.displace() == []
    worker.ends(assignment, "FAILED", reason="ENGINE_FAILURE", charged=False)

    found = world.run(run.id)
    (holding,) = {each.reason for each in found.attempts[:MOST_PREEMPTIONS]}
    assert holding == "PREEMPTED"
    assert found.state is OpRunState.PENDING  # one failure of the machinery, and not the sixth


def test_the_urgent_run_is_not_helped_by_stopping_whoever_is_as_urgent(world: World) -> None:
    worker, run, _, _ = a_full_box(world, priority=85)

    assert world.displace() == []
    assert world.run(run.id).phase is None
    assert world.reserved_on(worker.id) == 1

from __future__ import annotations

import pytest

from gyoza.models import OpRunState
from gyoza.server.errors import RunCompleted, RunEnded, RunHeld, RunNotEnded
from gyoza.server.use_cases import runs, workers
from gyoza.wire.messages import AddEvent, Held, PatchRun
from tests.integration.server_core.world import World

# --- cancel ------------------------------------------------------------------------------------


def test_a_waiting_run_is_cancelled_at_once(world: World) -> None:
    run = world.submit()

    cancelled, over = world.cancel(run.id, "not needed")

    assert over
    assert cancelled.state is OpRunState.CANCELLED
    assert world.events(run.id)[-1].msg == "not needed"


def test_an_unclaimed_assignment_is_cancelled_at_once_and_its_place_is_free(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    world.dispatch()

    _, over = world.cancel(run.id)

    assert over
    assert world.reserved_on(worker.id) == 0
    assert worker.claim() == []


def test_a_run_that_a_worker_has_is_cancelled_by_asking_the_worker(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    worker.started(assignment)

    asked, over = world.cancel(run.id, "too slow")
    answer = worker.heartbeat(assignment)
    worker.ends(assignment, "CANCELLED", exit_code=143)

    found = world.run(run.id)
    assert not over
    assert (asked.state, asked.phase) == (OpRunState.RUNNING, "STOPPING")
    assert [(order.run_id, order.reason, order.message) for order in answer.cancel] == [
        (run.id, "CANCELLED", "too slow")
    ]
    assert (found.state, found.reason, found.phase) == (OpRunState.CANCELLED, "CANCELLED", None)
    assert found.current_attempt.exit_code == 143


def test_a_waiting_claim_brings_the_order_to_stop_unless_the_worker_knows_it(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    world.cancel(run.id, "too slow")

    told = worker.ask("c2")
    stopping = [Held(run_id=run.id, fence=assignment.fence)]
    told_again = worker.ask("c3", stopping=stopping)

    assert [(order.run_id, order.message) for order in told.cancel] == [(run.id, "too slow")]
    assert told_again.cancel == []


def test_a_phase_ends_with_the_start_that_is_reported_together_with_it(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()

    worker.report(assignment, phase="STARTING", events=[worker.event(1, "STARTED", "")])

    found = world.run(run.id)
    assert (found.state, found.phase) == (OpRunState.RUNNING, None)


def test_phases_reported_while_a_run_is_stopping_do_not_hide_it(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    world.cancel(run.id)

    worker.report(assignment, phase="STARTING", events=[worker.event(1, "STARTED", "")])

    assert world.run(run.id).phase == "STOPPING"


def test_a_run_that_completes_before_its_cancel_is_carried_out_is_completed(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    world.cancel(run.id)

    worker.ends(assignment, outputs={"n": 1})

    assert world.run(run.id).state is OpRunState.COMPLETED
    with pytest.raises(RunEnded):
        world.cancel(run.id)


def test_a_failure_after_a_cancel_is_the_cancel_and_not_retried(world: World) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 5})
    assignment = worker.take()
    world.cancel(run.id)

    worker.ends(assignment, "FAILED", reason="USER_ERROR", exit_code=1)

    found = world.run(run.id)
    assert (found.state, len(found.attempts)) == (OpRunState.CANCELLED, 1)


def test_outputs_that_are_not_as_declared_after_a_cancel_are_the_cancel(world: World) -> None:
    world.put(output_specs={"n": {"type": "integer"}})
    worker = world.worker()
    run = world.submit(op_definition="wordcount")
    assignment = worker.take()
    world.cancel(run.id)

    worker.ends(assignment, outputs={})

    assert world.run(run.id).state is OpRunState.CANCELLED


def test_a_run_that_is_asked_to_stop_is_not_overdue_again(world: World) -> None:
    worker = world.worker()
    world.submit(timeouts={"total_s": 5})
    worker.take()
    world.clock.advance(6)
    world.end_overdue()

    assert world.do(lambda uow: uow.runs.overdue(uow.now(), 10)) == []


def test_cancelling_a_run_whose_worker_is_gone_ends_it_at_once(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    worker.take()
    world.clock.advance(61)

    _, over = world.cancel(run.id)

    assert over
    # Its container may still run, so nobody else gets the place yet.
    assert world.reserved_on(worker.id) == 1


def test_cancelling_twice_is_as_cancelling_once(world: World) -> None:
    run = world.submit()
    world.cancel(run.id)

    found, over = world.cancel(run.id)

    assert over
    assert found.state is OpRunState.CANCELLED
    assert world.types(run.id) == ["CANCELLED"]


# --- retry -------------------------------------------------------------------------------------


def test_a_failed_attempt_is_followed_by_the_next_without_a_failed_run_in_between(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 2})

    worker.ends(worker.take(), "FAILED", reason="USER_ERROR", message="boom", exit_code=1)

    found = world.run(run.id)
    failed = world.events(run.id)[-2]
    assert found.state is OpRunState.PENDING
    assert [attempt.state.value for attempt in found.attempts] == ["FAILED", "PENDING"]
    assert (failed.type, failed.payload["final"]) == ("FAILED", False)
    assert world.types(run.id)[-1] == "RETRIED"


def test_the_last_charged_attempt_fails_the_run(world: World) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 2})
    worker.ends(worker.take(), "FAILED", reason="OOM")

    worker.ends(worker.take(), "FAILED", reason="OOM")

    found = world.run(run.id)
    assert (found.state, found.reason) == (OpRunState.FAILED, "OOM")
    assert "final" not in found.events[-1].payload


def test_failures_of_the_machinery_are_uncharged_wait_longer_and_are_bounded(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit()

    worker.ends(worker.take(), "FAILED", reason="ENGINE_FAILURE", charged=False)
    too_early = world.dispatch()
    world.clock.advance(10)
    worker.ends(worker.take(), "FAILED", reason="PULL_TIMEOUT", charged=False)
    world.clock.advance(20)
    worker.heartbeat()
    worker.ends(worker.take(), "FAILED", reason="WORKER_ERROR", charged=False)

    found = world.run(run.id)
    assert too_early == []
    assert found.state is OpRunState.FAILED
    assert [attempt.charged for attempt in found.attempts] == [False, False, False]


def test_a_worker_cannot_charge_the_user_for_the_machinery(world: World) -> None:
    worker = world.worker()
    run = world.submit()

    worker.ends(worker.take(), "FAILED", reason="PULL_FAILED", charged=True)

    found = world.run(run.id)
    assert found.state is OpRunState.PENDING
    assert found.phase == "BACKOFF"
    assert found.attempts[0].charged is False


def test_only_failed_and_cancelled_runs_can_be_retried_by_hand(world: World) -> None:
    worker = world.worker()
    waiting = world.submit()
    with pytest.raises(RunNotEnded):
        world.retry(waiting.id)
    worker.ends(worker.take())
    with pytest.raises(RunCompleted):
        world.retry(waiting.id)
    cancelled = world.submit()
    world.cancel(cancelled.id)

    again = world.retry(cancelled.id)

    assert again.state is OpRunState.PENDING
    assert world.dispatch() == [cancelled.id]


# --- deadlines and lost workers ----------------------------------------------------------------


def test_a_run_that_waits_longer_than_its_queue_timeout_fails(world: World) -> None:
    run = world.submit(timeouts={"queue_s": 30})
    world.clock.advance(29)
    early = world.end_overdue()
    world.clock.advance(2)

    late = world.end_overdue()

    found = world.run(run.id)
    assert (early, late) == (0, 1)
    assert (found.state, found.reason) == (OpRunState.FAILED, "QUEUE_TIMEOUT")


def test_a_running_run_past_its_total_timeout_is_stopped_by_its_worker(world: World) -> None:
    worker = world.worker()
    run = world.submit(timeouts={"total_s": 30}, retry_policy={"max_attempts": 3})
    assignment = worker.take()
    world.clock.advance(31)

    world.end_overdue()
    world.end_overdue()
    order = worker.heartbeat(assignment).cancel[0]
    worker.ends(assignment, "CANCELLED", exit_code=137)

    found = world.run(run.id)
    assert order.reason == "TOTAL_TIMEOUT"
    assert (found.state, found.reason) == (OpRunState.FAILED, "TOTAL_TIMEOUT")
    assert len(found.attempts) == 1


def test_a_run_whose_lease_expired_goes_back_to_pending_as_an_uncharged_attempt(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit()
    worker.started(worker.take())
    world.clock.advance(61)

    lost = world.expire_leases()

    found = world.run(run.id)
    assert lost == 1
    assert found.state is OpRunState.PENDING
    assert (found.attempts[0].reason, found.attempts[0].charged) == ("WORKER_LOST", False)


def test_a_heartbeat_keeps_the_lease(world: World) -> None:
    worker = world.worker()
    world.submit()
    assignment = worker.take()
    for _ in range(5):
        world.clock.advance(20)
        worker.heartbeat(assignment)

    assert world.expire_leases() == 0


def test_a_lost_workers_place_stays_taken_until_it_says_what_it_still_holds(world: World) -> None:
    worker = world.worker(cpu=1)
    run = world.submit()
    assignment = worker.take()
    world.clock.advance(61)
    world.expire_leases()

    still_there = worker.heartbeat(assignment)
    taken = world.reserved_on(worker.id)
    worker.heartbeat()

    assert [(held.run_id, held.fence) for held in still_there.stop] == [(run.id, assignment.fence)]
    assert taken == 1
    assert world.reserved_on(worker.id) == 0


def test_a_late_result_of_a_lost_worker_is_discarded(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    world.clock.advance(61)
    world.expire_leases()

    late = worker.ends(assignment)

    assert late.status == "STALE"
    assert world.run(run.id).state is OpRunState.PENDING


def test_an_assignment_nobody_claims_goes_back(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    world.dispatch()
    world.clock.advance(31)

    released = world.release_unacknowledged()

    assert released == 1
    assert world.run(run.id).state is OpRunState.PENDING
    assert world.reserved_on(worker.id) == 0


# --- what people may change ----------------------------------------------------------------------


def test_outputs_and_events_are_refused_while_a_worker_holds_the_run(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    note = AddEvent(type="INFO", msg="hello")
    event = world.do(lambda uow: runs.add_event(uow, run.id, note))
    worker.take()

    assert (event.number, event.type) == (1, "INFO")
    with pytest.raises(RunHeld):
        world.do(lambda uow: runs.add_event(uow, run.id, note))
    patch = PatchRun(outputs={"a": 1})
    with pytest.raises(RunHeld):
        world.do(lambda uow: runs.patch_run(uow, run.id, patch))


def test_a_higher_priority_overtakes_what_waits(world: World) -> None:
    first, second = world.submit(), world.submit()
    patch = PatchRun(priority=90)
    world.do(lambda uow: runs.patch_run(uow, second.id, patch))
    world.worker(cpu=1)

    assert world.dispatch() == [second.id]
    assert world.run(first.id).state is OpRunState.PENDING


def test_a_drained_worker_finishes_what_it_has_and_gets_nothing_new(world: World) -> None:
    worker = world.worker()
    world.submit()
    assignment = worker.take()
    world.do(lambda uow: workers.drain_worker(uow, worker.id, world.outside))
    world.submit()

    nothing = world.dispatch()
    answer = worker.heartbeat(assignment)

    assert nothing == []
    assert answer.draining
    assert worker.ends(assignment).status == "OK"


def test_a_silent_worker_gets_no_new_work(world: World) -> None:
    world.worker()
    world.clock.advance(16)
    world.submit()

    assert world.dispatch() == []

"""A worker that comes back: what of its containers goes on, what it has lost, what nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.models import OpRunState
from gyoza.server.errors import SessionSuperseded
from gyoza.server.use_cases import runs, workers
from gyoza.wire.messages import Assignment, ContainerReport, Gpu, Registered
from tests.integration.server_core.world import Worker, World


def a_container(assignment: Assignment, state: Any = "running", **given: Any) -> ContainerReport:
    neutral: dict[str, Any] = {
        "name": f"gyoza-{assignment.run_id}-{assignment.attempt}-{assignment.fence}",
        "run_id": assignment.run_id,
        "attempt": assignment.attempt,
        "fence": assignment.fence,
        "state": state,
    }
    return ContainerReport(**{**neutral, **given})


def verdicts(answer: Registered) -> list[str]:
    return [each.verdict for each in answer.verdicts]


# --- going on ----------------------------------------------------------------------------------


def test_a_running_container_of_a_current_attempt_goes_on_as_the_same_attempt(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit(inputs={"n": 1})
    held = worker.take()
    worker.started(held)

    answer = worker.register(session="s2", containers=[a_container(held)], begun=[held])
    done = worker.ends(held)

    found = world.run(run.id)
    assert verdicts(answer) == ["ADOPT"]
    assert answer.verdicts[0].assignment == held
    assert done.status == "OK"
    assert (found.state, len(found.attempts)) == (OpRunState.COMPLETED, 1)


def test_a_verdict_names_the_first_numbers_that_the_server_has_not_got(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    events = [worker.event(1, "STARTED", ""), worker.event(2, "PROGRESS", 10)]
    worker.report(held, events=events)

    answer = worker.register(session="s2", containers=[a_container(held)])

    assert (answer.verdicts[0].next_event_seq, answer.verdicts[0].next_log_seq) == (3, 1)


def test_taking_over_renews_the_lease(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    world.clock.advance(59)

    worker.register(session="s2", containers=[a_container(held)])
    world.clock.advance(59)

    assert world.expire_leases() == 0


def test_an_attempt_whose_lease_is_over_goes_on_if_nobody_has_closed_it_yet(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    world.clock.advance(100)

    answer = worker.register(session="s2", containers=[a_container(held)])

    assert verdicts(answer) == ["ADOPT"]
    assert world.expire_leases() == 0


def test_a_run_that_was_cancelled_meanwhile_goes_on_with_its_order_to_stop(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)
    world.cancel(run.id, "too slow")

    answer = worker.register(session="s2", containers=[a_container(held)])

    assignment = answer.verdicts[0].assignment
    assert verdicts(answer) == ["ADOPT"]
    assert assignment is not None
    assert assignment.cancel is not None
    assert assignment.cancel.message == "too slow"


@pytest.mark.parametrize("state", ["exited", "created"])
def test_what_ended_or_never_began_meanwhile_is_to_be_reported(world: World, state: str) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()

    answer = worker.register(session="s2", containers=[a_container(held, state)])

    assert verdicts(answer) == ["FINISH"]
    assert answer.verdicts[0].assignment == held


def test_what_goes_on_keeps_its_place_and_its_gpu(world: World) -> None:
    gpus = [Gpu(uuid="GPU-1", vram_mb=1000)]
    worker = world.worker(gpus=gpus)
    world.submit(constraints={"vram_mb": 800})
    held = worker.take()
    world.submit(constraints={"vram_mb": 800})

    worker.register(session="s2", containers=[a_container(held)], gpus=gpus)

    assert world.reserved_on(worker.id) == 1
    assert world.dispatch() == []


def test_ten_restarts_in_a_row_are_one_attempt(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)

    for number in range(10):
        answer = worker.register(session=f"again-{number}", containers=[a_container(held)])
        assert verdicts(answer) == ["ADOPT"]
    worker.ends(held)

    assert world.types(run.id) == ["ASSIGNED", "STARTED", "COMPLETED"]


# --- leaving on purpose ------------------------------------------------------------------------


def test_the_successor_of_a_worker_that_left_on_purpose_has_five_minutes(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)

    worker.heartbeat(held, leaving=True)
    world.clock.advance(299)
    lost = world.expire_leases()
    answer = worker.register(session="s2", containers=[a_container(held)])

    assert lost == 0
    assert verdicts(answer) == ["ADOPT"]
    assert world.run(run.id).state is OpRunState.RUNNING


def test_a_successor_that_does_not_come_in_five_minutes_has_lost_its_runs(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()

    worker.heartbeat(held, leaving=True)
    world.clock.advance(300)

    assert world.expire_leases() == 1


def test_a_worker_that_left_gets_no_work_until_its_successor_is_there(world: World) -> None:
    worker = world.worker()
    worker.heartbeat(leaving=True)
    run = world.submit()

    nothing = world.dispatch()
    view = world.do(lambda uow: workers.get_worker(uow, worker.id, world.outside))
    worker.register(session="s2")

    assert nothing == []
    assert (view.state, "successor" in view.detail) == ("UNHEALTHY", True)
    assert world.dispatch() == [run.id]


# --- what is over ------------------------------------------------------------------------------


def test_a_container_of_an_old_fence_is_stopped_though_its_run_goes_on(world: World) -> None:
    worker = world.worker()
    world.submit()
    old = worker.take()
    world.clock.advance(61)
    world.expire_leases()
    world.clock.advance(10)
    worker.heartbeat(old)
    new = worker.take()

    answer = worker.register(session="s2", containers=[a_container(old), a_container(new)])

    assert verdicts(answer) == ["STOP", "ADOPT"]
    assert f"under fence {new.fence}" in answer.verdicts[0].why


def test_a_container_of_another_attempt_than_the_one_held_is_stopped(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    worker.started(held)

    answer = worker.register(session="s2", containers=[a_container(held, attempt=2)])

    assert verdicts(answer) == ["STOP"]


def test_of_two_containers_of_one_fence_only_that_of_the_held_attempt_goes_on(
    world: World,
) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    twin = a_container(held, name="twin", attempt=2)

    answer = worker.register(session="s2", containers=[twin, a_container(held)])

    assert verdicts(answer) == ["STOP", "ADOPT"]


def test_a_container_of_a_run_that_is_over_is_stopped(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    worker.ends(held)

    answer = worker.register(session="s2", containers=[a_container(held, "exited")])

    assert [(each.verdict, each.why) for each in answer.verdicts] == [
        ("STOP", "its run is over: COMPLETED")
    ]


def test_a_container_of_a_run_that_another_worker_has_by_now_is_stopped(world: World) -> None:
    first = world.worker("first")
    run = world.submit()
    held = first.take()
    world.clock.advance(61)
    world.expire_leases()
    second = world.worker("second")
    world.clock.advance(10)
    second.heartbeat()
    second.take()

    answer = first.register(session="s2", containers=[a_container(held)])

    assert verdicts(answer) == ["STOP"]
    assert world.run(run.id).worker_id == second.id


def test_the_place_of_a_container_that_is_to_be_stopped_is_free_once_it_is_gone(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    world.clock.advance(61)
    world.expire_leases()

    worker.register(session="s2", containers=[a_container(held)])
    while_it_stops = world.reserved_on(worker.id)
    worker.heartbeat()

    assert (while_it_stops, world.reserved_on(worker.id)) == (1, 0)
    assert world.run(run.id).state is OpRunState.PENDING


# --- what was lost -----------------------------------------------------------------------------


def test_a_running_run_whose_container_is_gone_is_tried_again_uncharged(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)

    worker.register(session="s2", begun=[held])

    found = world.run(run.id)
    ended = found.attempts[0]
    assert (found.state, len(found.attempts)) == (OpRunState.PENDING, 2)
    assert (ended.reason, ended.charged) == ("WORKER_LOST", False)
    assert ended.execution_summary.error_message == "worker wrk_box was started again without it"
    assert world.reserved_on(worker.id) == 0


def test_an_assignment_whose_container_was_made_and_is_gone_is_not_started_a_second_time(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()

    worker.register(session="s2", begun=[held], made=[held])

    found = world.run(run.id)
    assert (found.state, len(found.attempts)) == (OpRunState.PENDING, 2)
    assert (found.attempts[0].reason, found.attempts[0].charged) == ("WORKER_LOST", False)
    assert world.reserved_on(worker.id) == 0


@pytest.mark.parametrize("journal", ["names it", "does not know it"])
def test_an_unstarted_assignment_without_a_container_is_given_back(
    world: World, journal: str
) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()

    worker.register(session="s2", begun=[held] if journal == "names it" else [])

    found = world.run(run.id)
    assert (found.state, len(found.attempts)) == (OpRunState.PENDING, 1)
    assert found.fence == held.fence + 1
    assert world.types(run.id) == ["ASSIGNED", "RELEASED"]
    assert world.reserved_on(worker.id) == 0


def test_a_run_that_ends_its_worker_before_it_starts_does_not_go_round_for_ever(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit()
    given_back = 0

    while world.run(run.id).state is not OpRunState.FAILED:
        world.clock.advance(400)
        worker.heartbeat()
        held = worker.take()
        given_back += 1
        worker.register(session=f"after-{given_back}", begun=[held])

    # Three times given back, then lost: that for each of the three uncharged attempts.
    assert given_back == 12


def test_a_restarted_worker_can_claim_what_was_assigned_to_it_before(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    world.dispatch()

    worker.register(session="s2")

    assert [each.run_id for each in worker.claim()] == [run.id]


def test_registering_again_by_the_same_process_loses_nothing(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)

    worker.register(session="s1")

    assert world.run(run.id).state is OpRunState.RUNNING
    assert worker.ends(held).status == "OK"


def test_after_a_restart_of_the_machine_no_container_goes_on(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)

    answer = worker.register(
        session="s2", boot_id="b2", containers=[a_container(held, "exited", exit_code=0)]
    )

    found = world.run(run.id)
    assert verdicts(answer) == ["STOP"]
    assert (found.state, found.attempts[0].reason) == (OpRunState.PENDING, "WORKER_LOST")
    assert "machine was started again" in answer.verdicts[0].why
    assert world.reserved_on(worker.id) == 0


def test_a_lost_run_that_was_to_be_stopped_ends_as_asked(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)
    world.cancel(run.id)

    worker.register(session="s2", begun=[held])

    assert world.run(run.id).state is OpRunState.CANCELLED


# --- what nobody knows -------------------------------------------------------------------------


def a_stranger(name: str = "gyoza-run_unknown-1-1") -> ContainerReport:
    return ContainerReport(name=name, run_id="run_unknown", attempt=1, fence=1, state="running")


def test_a_container_whose_run_is_unknown_is_left_alone_for_ten_minutes(world: World) -> None:
    worker = world.worker()

    first = worker.register(session="s2", containers=[a_stranger()])
    world.clock.advance(599)
    second = worker.register(session="s3", containers=[a_stranger()])
    world.clock.advance(1)
    third = worker.register(session="s4", containers=[a_stranger()])

    assert [verdicts(each) for each in (first, second, third)] == [["LIMBO"], ["LIMBO"], ["STOP"]]


def test_a_fence_that_the_database_has_not_reached_yet_is_one_it_forgot(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()

    answer = worker.register(session="s2", containers=[a_container(held, fence=held.fence + 2)])

    assert verdicts(answer) == ["LIMBO"]


def test_how_long_a_container_is_unknown_survives_the_server(world: World) -> None:
    worker = world.worker()
    worker.register(session="s2", containers=[a_stranger()])
    world.restart()
    world.clock.advance(600)

    answer = worker.register(session="s3", containers=[a_stranger()])

    assert verdicts(answer) == ["STOP"]


def test_an_unknown_container_that_went_away_and_came_back_waits_anew(world: World) -> None:
    worker = world.worker()
    worker.register(session="s2", containers=[a_stranger()])
    worker.register(session="s3")
    world.clock.advance(600)

    answer = worker.register(session="s4", containers=[a_stranger()])

    assert verdicts(answer) == ["LIMBO"]


# --- who may not come in -----------------------------------------------------------------------


def test_a_copied_state_folder_is_refused_and_changes_nothing(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    worker.started(held)

    with pytest.raises(SessionSuperseded, match="another machine"):
        worker.register(session="copy", machine_id="another")
    worker.session = "s1"

    assert world.run(run.id).state is OpRunState.RUNNING
    assert worker.heartbeat(held).stop == []


def test_a_name_that_another_machine_has_is_refused_until_that_is_removed(world: World) -> None:
    world.worker("box")
    namesake = Worker(world, "box")
    namesake.id = "wrk_other"

    with pytest.raises(SessionSuperseded, match=r"GYOZA_WORKER_NAME.*gyoza worker remove wrk_box"):
        namesake.register(machine_id="machine-other")
    world.do(lambda uow: workers.remove_worker(uow, "wrk_box", world.outside))

    assert namesake.register(machine_id="machine-other").verdicts == []


def test_another_identity_on_the_same_machine_may_have_the_same_name(world: World) -> None:
    world.worker("box")
    second = Worker(world, "box")
    second.id = "wrk_second"

    assert second.register().worker_id == "wrk_second"


def test_a_removed_worker_that_comes_back_stops_what_was_taken_from_it(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    world.clock.advance(61)
    world.do(lambda uow: workers.remove_worker(uow, worker.id, world.outside))

    answer = worker.register(session="s2", containers=[a_container(held)])

    assert verdicts(answer) == ["STOP"]
    assert world.do(lambda uow: runs.get_run(uow, run.id)).state is OpRunState.PENDING


# --- room of what nobody knows -----------------------------------------------------------------


def a_large_stranger(**given: Any) -> ContainerReport:
    neutral: dict[str, Any] = {"name": "gyoza-x", "run_id": "run_x", "attempt": 1, "fence": 7}
    return ContainerReport(**{**neutral, "state": "running", **given})


def test_what_a_container_in_limbo_takes_is_given_to_nobody_else(world: World) -> None:
    worker = world.worker()
    run = world.submit(constraints={"cpu": 3})

    answer = worker.register(session="s2", containers=[a_large_stranger(cpu=2, ram_mb=512)])
    full = world.dispatch()
    worker.heartbeat(named=[("run_x", 7)])
    still_full = world.dispatch()
    worker.heartbeat()

    assert verdicts(answer) == ["LIMBO"]
    assert (full, still_full) == ([], [])
    assert world.dispatch() == [run.id]


def test_a_container_in_limbo_is_stopped_in_time_and_keeps_its_room_until_it_is_gone(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit(constraints={"cpu": 3})
    found = [a_large_stranger(cpu=2, ram_mb=512)]
    answer = worker.register(session="s2", containers=found)
    for _ in range(10):
        world.clock.advance(60)
        worker.heartbeat(named=[("run_x", 7)])
        answer = worker.register(session="s2", containers=found)
    full = world.dispatch()
    worker.heartbeat()

    assert verdicts(answer) == ["STOP"]
    assert full == []
    assert world.dispatch() == [run.id]


def test_the_gpu_of_a_container_in_limbo_is_taken(world: World) -> None:
    gpus = [Gpu(uuid="GPU-1", vram_mb=1000)]
    worker = world.worker(gpus=gpus)
    world.submit(constraints={"vram_mb": 800})

    stranger = a_large_stranger(cpu=1, ram_mb=100, vram_mb=800, gpu_uuid="GPU-1")
    worker.register(session="s2", containers=[stranger], gpus=gpus)

    assert world.dispatch() == []


def test_a_removed_worker_takes_what_was_in_limbo_along(world: World) -> None:
    worker = world.worker()
    worker.register(session="s2", containers=[a_large_stranger(cpu=2)])
    world.do(lambda uow: workers.remove_worker(uow, worker.id, world.outside))

    assert world.reserved_on(worker.id) == 0

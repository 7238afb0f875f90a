"""What a run's retry policy, and the op's own word, make of a failed attempt."""

from __future__ import annotations

import pytest

from gyoza.models import Constraints, OpRunState
from gyoza.server.errors import InvalidInput
from gyoza.server.use_cases import runs
from gyoza.wire.messages import Gpu
from tests.integration.server_core.world import World

GROWING = {"max_attempts": 5, "on_oom": {"factor": 2, "max_ram_mb": 3000}}


def lose_its_worker(world: World, times: int) -> None:
    for number in range(times):
        worker = world.worker(f"box{number}")
        worker.started(worker.take())
        world.clock.advance(61)
        world.expire_leases()
        world.clock.advance(400)


# --- more memory -------------------------------------------------------------------------------


def test_after_running_out_of_memory_a_run_is_planned_and_granted_more(world: World) -> None:
    worker = world.worker()
    run = world.submit(constraints={"ram_mb": 1000}, retry_policy=GROWING)
    first = worker.take()

    worker.ends(first, "FAILED", reason="OOM", exit_code=137)
    second = worker.take()

    found = world.run(run.id)
    assert (first.granted["ram_mb"], second.granted["ram_mb"]) == (1000, 2000)
    assert [each.constraints.ram_mb for each in found.attempts] == [1000, 2000]
    assert found.constraints.ram_mb == 1000


def test_memory_never_grows_past_its_bound(world: World) -> None:
    worker = world.worker()
    world.submit(constraints={"ram_mb": 1000}, retry_policy=GROWING)
    granted: list[int] = []

    for _ in range(4):
        held = worker.take()
        granted.append(held.granted["ram_mb"])
        worker.ends(held, "FAILED", reason="OOM", exit_code=137)

    assert granted == [1000, 2000, 3000, 3000]


def test_the_timeline_says_what_the_next_attempt_gets(world: World) -> None:
    worker = world.worker()
    run = world.submit(constraints={"ram_mb": 1000}, retry_policy=GROWING)

    worker.ends(worker.take(), "FAILED", reason="OOM", exit_code=137)

    failed, retried = world.events(run.id)[-2:]
    assert failed.payload["retry"] == "attempt 1 of 5 failed; the next may use 2000 MB of RAM"
    assert retried.payload["constraints"]["ram_mb"] == 2000


def test_what_was_raised_stays_raised_when_the_next_worker_is_lost(world: World) -> None:
    worker = world.worker("big")
    run = world.submit(constraints={"ram_mb": 1000}, retry_policy=GROWING)
    worker.ends(worker.take(), "FAILED", reason="OOM", exit_code=137)

    world.do(lambda uow: uow.workers.remove(worker.id))
    lose_its_worker(world, 1)

    assert [each.constraints.ram_mb for each in world.run(run.id).attempts] == [1000, 2000, 2000]


def test_a_retry_by_hand_keeps_what_was_raised(world: World) -> None:
    worker = world.worker()
    policy = {"max_attempts": 2, "on_oom": {"factor": 2, "max_ram_mb": 3000}}
    run = world.submit(constraints={"ram_mb": 1000}, retry_policy=policy)
    for _ in range(2):
        worker.ends(worker.take(), "FAILED", reason="OOM", exit_code=137)

    world.retry(run.id)

    assert worker.take().granted["ram_mb"] == 2000


def test_explain_shows_the_raised_need_and_who_is_too_small_for_it(world: World) -> None:
    gpus = [Gpu(uuid="GPU-1", vram_mb=8000)]
    worker = world.worker(gpus=gpus)
    policy = {"max_attempts": 2, "on_oom": {"factor": 2, "max_vram_mb": 16000}}
    run = world.submit(constraints={"vram_mb": 6000}, retry_policy=policy)
    worker.ends(worker.take(), "FAILED", reason="OOM", exit_code=137)

    said = world.do(lambda uow: runs.explain_run(uow, run.id, world.outside))

    assert said["needs"]["vram_mb"] == 12000
    assert world.dispatch() == []


def test_without_a_rule_the_next_attempt_gets_the_same(world: World) -> None:
    worker = world.worker()
    run = world.submit(constraints={"ram_mb": 1000}, retry_policy={"max_attempts": 2})

    worker.ends(worker.take(), "FAILED", reason="OOM", exit_code=137)

    assert world.run(run.id).current_attempt.constraints == Constraints(cpu=1, ram_mb=1000)


def test_growing_without_a_bound_is_refused_at_submit(world: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.submit(retry_policy={"on_oom": {"factor": 2}})

    assert [fault.pointer for fault in refused.value.faults] == ["/retry_policy/on_oom"]


# --- exit codes and the op's own word ------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "state"), [(3, OpRunState.FAILED), (4, OpRunState.PENDING), (1, OpRunState.FAILED)]
)
def test_exit_codes_say_what_is_tried_again(world: World, code: int, state: OpRunState) -> None:
    worker = world.worker()
    policy = {"max_attempts": 5, "exit_codes": {"retry": [4], "fail": [3]}}
    run = world.submit(retry_policy=policy)

    worker.ends(worker.take(), "FAILED", reason="USER_ERROR", exit_code=code)

    assert world.run(run.id).state is state


def test_a_code_that_ends_the_run_is_named_in_its_last_event(world: World) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 5, "exit_codes": {"fail": [3]}})

    worker.ends(worker.take(), "FAILED", reason="USER_ERROR", exit_code=3)

    assert world.events(run.id)[-1].payload["retry"] == (
        "exit code 3 is not retried: so says its retry policy"
    )


def test_a_definitions_rules_are_its_runs_rules(world: World) -> None:
    world.put(retry_policy={"max_attempts": 5, "exit_codes": {"fail": [3]}})
    worker = world.worker()
    run = world.submit(op_definition="wordcount")

    worker.ends(worker.take(), "FAILED", reason="USER_ERROR", exit_code=3)

    assert world.run(run.id).state is OpRunState.FAILED


def test_an_op_that_says_another_attempt_cannot_help_is_believed(world: World) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 5, "exit_codes": {"retry": [3]}})

    worker.ends(worker.take(), "FAILED", reason="USER_ERROR", exit_code=3, retryable=False)

    assert world.run(run.id).state is OpRunState.FAILED


def test_an_op_may_ask_for_a_pause_before_the_next_attempt(world: World) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 5})

    worker.ends(worker.take(), "FAILED", reason="USER_ERROR", exit_code=1, retry_after_ms=30_000)

    found = world.run(run.id)
    assert found.due_at is not None
    assert (found.due_at - world.clock.now()).total_seconds() == 30
    assert found.phase == "BACKOFF"


# --- poison ------------------------------------------------------------------------------------


def test_a_run_that_loses_its_worker_again_and_again_is_set_aside(world: World) -> None:
    run = world.submit()

    lose_its_worker(world, 3)  # as many as this server allows

    found = world.run(run.id)
    last = found.current_attempt
    assert (found.state, found.reason, len(found.attempts)) == (OpRunState.FAILED, "POISON", 3)
    assert [each.charged for each in found.attempts] == [False] * 3
    assert last.execution_summary.error_message == (
        "worker wrk_box2 was not heard of for 60 s; 3 of its attempts lost their worker, so it may "
        "be what ends them; it is not tried again by itself"
    )
    assert world.events(run.id)[-1].payload["reported"] == "WORKER_LOST"
    assert world.outside.tally.counts["poison run ended"] == 1


def test_a_run_that_was_set_aside_can_be_retried_by_hand(world: World) -> None:
    run = world.submit()
    lose_its_worker(world, 3)

    world.retry(run.id)
    worker = world.worker("calm")
    worker.ends(worker.take())

    assert world.run(run.id).state is OpRunState.COMPLETED


def test_a_retry_by_hand_gives_the_machinery_its_whole_budget_again(world: World) -> None:
    run = world.submit()
    lose_its_worker(world, 3)
    world.retry(run.id)

    lose_its_worker(world, 2)
    waiting = world.run(run.id)
    lose_its_worker(world, 1)

    found = world.run(run.id)
    assert (waiting.state, waiting.phase, len(waiting.attempts)) == (
        OpRunState.PENDING,
        "BACKOFF",
        6,
    )
    assert (found.state, found.reason, len(found.attempts)) == (OpRunState.FAILED, "POISON", 6)


def test_an_automatic_retry_gives_the_machinery_nothing(world: World) -> None:
    worker = world.worker()
    run = world.submit(retry_policy={"max_attempts": 9})

    for reason in ("ENGINE_FAILURE", "USER_ERROR", "ENGINE_FAILURE", "OOM", "ENGINE_FAILURE"):
        world.clock.advance(100)
        worker.heartbeat()
        worker.ends(worker.take(), "FAILED", reason=reason)

    found = world.run(run.id)
    assert (found.state, [each.charged for each in found.attempts].count(False)) == (
        OpRunState.FAILED,
        3,
    )

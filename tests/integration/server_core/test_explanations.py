"""Why runs are where they are, asked of a real store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, update

from gyoza.models import Constraints, Execution, OpRun
from gyoza.models.timestamps import format_time
from gyoza.server.storage.lanes import AWAITING_KEY, AWAITING_RUNS
from gyoza.server.storage.planning_schema import run_dependencies
from gyoza.server.storage.schema import ops
from gyoza.server.use_cases import runs
from gyoza.server.use_cases.waiting import Waiting
from tests.integration.server_core.world import Worker, World


def explained(world: World, run: OpRun) -> dict[str, Any]:
    return world.do(lambda uow: runs.explain_run(uow, run.id, world.outside))


def waiting(world: World, run: OpRun) -> dict[str, Any] | None:
    return world.do(lambda uow: Waiting(uow, world.outside).document(uow.runs.get(run.id)))


def limited(world: World, **values: Any) -> None:
    world.do(lambda uow: uow._transaction.connection.execute(update(ops).values(**values)))  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 - the verbs for it are not this test's


def submitted(world: World, count: int, **given: Any) -> list[OpRun]:
    """Runs of the op, a second apart."""
    made: list[OpRun] = []
    for _ in range(count):
        made.append(world.submit(op_definition="wordcount", **given))
        world.clock.advance(1)
    return made


def learn(world: World, worker: Worker, *, runs_of_s: float, times: int = 5) -> None:
    for _ in range(times):
        world.submit(op_definition="wordcount", constraints={"cpu": 4})
        assignment = worker.take()
        worker.started(assignment)
        worker.ends(assignment, duration_ms=round(runs_of_s * 1000))


def test_a_run_behind_others_knows_its_place_who_runs_and_when_it_starts(world: World) -> None:
    world.put()
    worker = world.worker("atlas")
    learn(world, worker, runs_of_s=40)
    made = submitted(world, 3, constraints={"cpu": 4})
    worker.take()

    told = explained(world, made[2])

    assert told["verdict"] == "LATER"
    assert told["position"] == {
        "ahead": 1,
        "exact": True,
        "first": [{"run_id": made[1].id, "op": "wordcount", "owner": None, "priority": 5}],
    }
    assert [each["run_id"] for each in told["in_its_place"]] == [made[0].id]
    assert told["kept"]["run_id"] == made[1].id
    assert told["start"]["at"] == format_time(world.clock.now() + timedelta(seconds=80))
    assert told["start"]["basis"].startswith(f"once {made[0].id} ended; 1 waiting run starts")


def test_a_large_batch_is_counted_whole_though_only_its_beginning_is_read(world: World) -> None:
    batch: list[dict[str, Any]] = [{"image": "a"}] * 450
    made = world.do(lambda uow: runs.submit_batch(uow, batch, world.outside))
    world.clock.advance(1)
    last = world.submit(image="a")

    alone = explained(world, last)["position"]
    world.submit(image="b", priority=9)
    among_others = explained(world, last)["position"]

    assert (alone["ahead"], alone["exact"]) == (len(made.outcomes), True)
    assert (among_others["ahead"], among_others["exact"]) == (450, False)


def test_a_start_nobody_can_know_says_which_op_has_too_few_runs(world: World) -> None:
    world.put()
    worker = world.worker()
    made = submitted(world, 2, constraints={"cpu": 4})
    worker.take()

    start = explained(world, made[1])["start"]

    assert start["at"] is None
    assert start["basis"].endswith("how long these take: wordcount")


def test_a_paused_op_is_the_rule_and_resuming_it_the_change(world: World) -> None:
    world.put()
    world.worker()
    run = world.submit(op_definition="wordcount")
    limited(world, paused=True)

    told = explained(world, run)

    assert told["rule"] == {"name": "paused", "text": "op wordcount is paused", "run_ids": []}
    assert told["summary"] == "op wordcount is paused"
    assert [each["name"] for each in told["changes"]] == ["resume_op"]
    assert "position" not in told
    assert waiting(world, run) == {
        "verdict": "LATER",
        "rule": "paused",
        "summary": "op wordcount is paused",
    }


def test_a_full_op_says_how_many_run_and_when_one_may_end(world: World) -> None:
    world.put()
    worker = world.worker(cpu=64)
    learn(world, worker, runs_of_s=40)
    limited(world, max_parallel=1)
    made = submitted(world, 2)
    worker.take()

    told = explained(world, made[1])

    assert told["rule"]["name"] == "op_limit"
    assert "raise max_parallel of op wordcount to 2" in [each["text"] for each in told["changes"]]
    assert told["start"]["at"] == format_time(world.clock.now() + timedelta(seconds=40))


def keyed(world: World, *, awaits: bool) -> OpRun:
    """A run that shares the key `licence`, of which there is one."""
    execution = Execution(concurrency={"key": "licence", "limit": 1})
    now = world.clock.now()
    shares = OpRun.create("a", 5, constraints=Constraints(1, 512), now=now, execution=execution)
    shares.phase = AWAITING_KEY if awaits else None
    world.do(lambda uow: uow.runs.add([shares]))
    world.clock.advance(1)
    return shares


def test_a_full_key_says_who_has_it_and_whose_end_would_free_it(world: World) -> None:
    worker = world.worker()
    has = keyed(world, awaits=False)
    worker.take()
    first, second = keyed(world, awaits=True), keyed(world, awaits=True)

    told = explained(world, first)

    assert told["rule"] == {
        "name": "key",
        "text": f"concurrency key licence admits 1 at once, held by {has.id}",
        "run_ids": [has.id],
    }
    assert [each["command"] for each in told["changes"]] == [f"gyoza cancel {has.id}"]
    assert explained(world, second)["changes"] == []


def test_a_run_that_comes_after_others_names_them(world: World) -> None:
    world.worker()
    first = world.submit()
    later = OpRun.create("a", 5, constraints=Constraints(1, 512), now=world.clock.now())
    later.phase = AWAITING_RUNS
    row = {"run_id": later.id, "after_id": first.id, "condition": "success"}
    world.do(lambda uow: uow.runs.add([later]))
    world.do(lambda uow: uow._transaction.connection.execute(insert(run_dependencies), row))  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 - submitting it is not this test's

    told = explained(world, later)

    assert told["summary"] == f"comes after {first.id}"
    assert told["rule"]["run_ids"] == [first.id]
    assert told["start"] == {"at": None, "basis": "once the runs that it comes after have ended"}
    assert told["changes"] == []


def test_a_delayed_run_says_until_when_and_starts_no_sooner(world: World) -> None:
    world.worker()
    due = world.clock.now() + timedelta(seconds=200)
    run = world.submit(due_at=due.isoformat())

    told = explained(world, run)

    assert told["rule"]["text"] == f"is due in 3 min, at {format_time(due)}"
    assert told["start"]["at"] == format_time(due)
    assert told["changes"] == []


def test_nobody_could_ever_is_told_in_the_list_with_what_is_missing(world: World) -> None:
    world.worker(cpu=2)
    run = world.submit(constraints={"cpu": 64})

    assert waiting(world, run) == {
        "verdict": "NEVER",
        "rule": None,
        "summary": "no worker could ever take it: needs 64 CPU, the most is 2",
    }
    assert explained(world, run)["start"] == {"at": None, "basis": "never, as the workers are"}


def test_without_any_worker_there_is_no_verdict_against_a_run(world: World) -> None:
    run = world.submit()

    told = waiting(world, run)

    assert told is not None
    assert told["verdict"] == explained(world, run)["verdict"] == "LATER"
    assert "gyoza worker start" in told["summary"]


def test_a_run_with_room_waits_for_its_turn_only(world: World) -> None:
    world.worker()
    run = world.submit()

    told = explained(world, run)

    assert (told["verdict"], told["changes"]) == ("NOW", [])
    assert told["start"]["at"] == format_time(world.clock.now())


def test_a_run_at_work_has_no_reason_to_wait(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    worker.take()

    assert waiting(world, run) is None
    assert explained(world, run)["summary"] == "is ASSIGNED on worker wrk_box"


def test_an_ended_run_tells_the_chain_of_its_attempts_and_what_decided(world: World) -> None:
    policy = {"max_attempts": 2, "backoff_ms": 1000, "on_oom": {"factor": 2.0, "max_ram_mb": 4096}}
    worker = world.worker()
    run = world.submit(retry_policy=policy, constraints={"ram_mb": 1000})
    for reason in ("OOM", "USER_ERROR"):
        world.clock.advance(10)
        worker.heartbeat()
        assignment = worker.take()
        worker.started(assignment)
        worker.ends(assignment, "FAILED", reason=reason, message="no", exit_code=3)

    first, second = explained(world, run)["attempts"]

    assert (first["reason"], first["charged"], first["next"]) == ("OOM", True, "retried")
    assert first["decision"] == "attempt 1 of 2 failed; the next may use 2000 MB of RAM"
    assert first["retry_at"] is not None
    assert second["constraints"]["ram_mb"] == 2000
    assert (second["decision"], second["next"]) == ("attempt 2 of 2 failed", "end")
    assert second["worker_id"] == worker.id


def test_what_the_machinery_failed_is_not_charged(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    worker.take()
    world.clock.advance(61)
    world.expire_leases()

    told = explained(world, run)

    assert told["rule"]["name"] == "backoff"
    assert told["attempts"][0]["charged"] is False
    assert "not the op's fault" in told["attempts"][0]["decision"]


def test_an_attempt_asked_for_by_hand_is_told_apart(world: World) -> None:
    run = world.submit()
    world.cancel(run.id)
    world.retry(run.id)

    assert [each["next"] for each in explained(world, run)["attempts"]] == ["by_hand", "none"]

"""What callers ask for: definitions, submits, batches, lists, explanations, repeated requests."""

from __future__ import annotations

import pytest

from gyoza.models import OpRunState
from gyoza.server.errors import (
    AmbiguousId,
    IdempotencyMismatch,
    InvalidInput,
    InvalidRequest,
    OpArchived,
    OpNotFound,
    RunNotFound,
    ServerError,
    SessionSuperseded,
    VersionConflict,
    VersionNotFound,
    WorkerBusy,
)
from gyoza.server.use_cases import definitions, runs, workers
from gyoza.server.use_cases.idempotency import Answer, IdempotencyKey, hash_of, once
from gyoza.server.use_cases.paging import PageQuery, token_after
from gyoza.server.use_cases.runs import RunQuery
from gyoza.wire.messages import Gpu
from tests.integration.server_core.world import World


def pointers(error: ServerError) -> list[str]:
    return [fault.pointer for fault in error.faults]


# --- definitions -------------------------------------------------------------------------------


def test_the_same_definition_again_is_no_new_version(world: World) -> None:
    first = world.put(input_specs={"n": {"type": "integer"}})
    again = world.put(input_specs={"n": {"type": "integer"}})

    assert (first[1], again[1]) == (True, False)
    assert again[0].created_at == first[0].created_at


def test_a_registered_version_never_changes_and_the_refusal_names_what_differs(
    world: World,
) -> None:
    world.put(input_specs={"n": {"type": "float", "required": False, "default": 1.0}})

    with pytest.raises(VersionConflict, match="another image, input_specs") as refused:
        world.put(
            image="wc:2", input_specs={"n": {"type": "float", "required": False, "default": 1}}
        )

    assert refused.value.code == "VERSION_CONFLICT"


def test_the_version_put_last_is_the_current_one(world: World) -> None:
    world.put(version="1")
    world.put(version="2")
    world.put(version="1")

    current = world.do(lambda uow: definitions.get_definition(uow, "wordcount"))

    assert current.version == "1"


def test_an_archived_op_takes_no_runs_until_it_is_put_again(world: World) -> None:
    world.put()
    world.do(lambda uow: definitions.archive_definition(uow, "wordcount"))
    with pytest.raises(OpArchived):
        world.submit(op_definition="wordcount")

    world.put()

    assert world.submit(op_definition="wordcount").state is OpRunState.PENDING


def test_definitions_are_listed_by_pages(world: World) -> None:
    for op_id in "cab":
        world.put(id=op_id)

    first = world.do(lambda uow: definitions.list_definitions(uow, PageQuery(2)))
    second = world.do(lambda uow: definitions.list_definitions(uow, PageQuery(2, first[1])))

    assert [each.id for each in first[0]] == ["a", "b"]
    assert [each.id for each in second[0]] == ["c"]
    assert second[1] == ""


# --- submits -----------------------------------------------------------------------------------


def test_every_fault_of_a_submit_is_named_once_and_nothing_is_created(world: World) -> None:
    world.put(
        input_specs={
            "text": {"type": "string", "schema": {"minLength": 3}},
            "count": {"type": "integer", "schema": {"type": "integer", "maximum": 5}},
            "where": {"type": "object", "schema": {"properties": {"x": {"type": "number"}}}},
        }
    )

    with pytest.raises(InvalidInput) as refused:
        world.submit(
            op_definition="wordcount",
            priority=101,
            inputs={"count": "many", "where": {"x": "far"}, "other": 1},
            due_at="tomorrow",
            constraints={"cpu": 0, "gpu": 1},
        )

    assert sorted(pointers(refused.value)) == [
        "/constraints/gpu",
        "/due_at",
        "/inputs/count",
        "/inputs/other",
        "/inputs/text",
        "/inputs/where/x",
        "/priority",
    ]
    assert world.do(lambda uow: runs.list_runs(uow, RunQuery())) == ([], "")


def test_unknown_ops_and_versions_are_told_apart(world: World) -> None:
    world.put()

    with pytest.raises(OpNotFound):
        world.submit(op_definition="nothing")
    with pytest.raises(VersionNotFound):
        world.submit(op_definition="wordcount", op_version="9")


def test_a_run_writes_down_what_it_will_get(world: World) -> None:
    world.put(
        constraints={"ram_mb": 100},
        execution={"network": True, "timeouts": {"run_s": 60}},
        input_specs={"n": {"type": "integer", "required": False, "default": 3}},
    )

    run = world.submit(op_definition="wordcount", timeouts={"queue_s": 5})

    found = world.run(run.id)
    assert found.constraints.to_dict() == {"cpu": 1, "ram_mb": 100, "vram_mb": None}
    assert found.inputs == {"n": 3}
    assert found.execution.network
    assert found.timeouts.to_dict() == {"queue_s": 5, "run_s": 60}
    assert found.op_version == "1.0.0"


def test_a_batch_takes_what_it_can_and_says_what_it_cannot(world: World) -> None:
    documents = [{"image": "a"}, {"image": "a", "priority": -1}, {"imag": "a"}, {"image": "b"}]

    batch = world.do(lambda uow: runs.submit_batch(uow, documents, world.outside))

    kinds = [each if isinstance(each, str) else each.code for each in batch.outcomes]
    found, _ = world.do(lambda uow: runs.list_runs(uow, RunQuery(batch=batch.batch_id)))
    assert kinds[1:3] == ["INVALID_INPUT", "INVALID_REQUEST"]
    assert {run.id for run in found} == {kinds[0], kinds[3]}


def test_a_delayed_run_waits_for_its_time(world: World) -> None:
    world.worker()
    due = world.clock.now().replace(minute=59)
    run = world.submit(due_at=due.isoformat())

    early = world.dispatch()
    world.clock.advance(3600)
    worker = world.worker("other")
    late = world.dispatch()

    assert (early, late) == ([], [run.id])
    assert world.run(run.id).worker_id == worker.id


# --- reading -----------------------------------------------------------------------------------


def test_a_run_is_found_by_an_unambiguous_prefix(world: World) -> None:
    first = world.submit()
    prefix = first.id[:-4]

    assert world.run(prefix).id == first.id
    world.submit()
    with pytest.raises(AmbiguousId):
        world.run(first.id[:9])
    with pytest.raises(RunNotFound):
        world.run("run_")


def test_runs_are_listed_newest_first_by_pages_and_filters(world: World) -> None:
    made = []
    for n in range(3):
        world.clock.advance(1)
        made.append(world.submit(owner="ada", tags={"n": str(n)}).id)

    page = PageQuery(2)
    first, token = world.do(lambda uow: runs.list_runs(uow, RunQuery(owner="ada", page=page)))
    rest, end = world.do(
        lambda uow: runs.list_runs(uow, RunQuery(owner="ada", page=PageQuery(2, token)))
    )
    tagged, _ = world.do(lambda uow: runs.list_runs(uow, RunQuery(tags=(("n", "1"),))))

    assert [run.id for run in first + rest] == made[::-1]
    assert end == ""
    assert [run.id for run in tagged] == [made[1]]


@pytest.mark.parametrize(
    "query",
    [
        RunQuery(states=("DONE",)),
        RunQuery(page=PageQuery(2, "x")),
        RunQuery(page=PageQuery(2, token_after("no number"))),
        RunQuery(page=PageQuery(2, token_after(f"{10**30}.run_a"))),
    ],
)
def test_a_wrong_state_or_token_is_an_invalid_request(world: World, query: RunQuery) -> None:
    with pytest.raises(InvalidRequest):
        world.do(lambda uow: runs.list_runs(uow, query))


def test_a_waiting_run_says_why_with_figures_per_worker(world: World) -> None:
    world.worker(gpus=[Gpu(uuid="g", vram_mb=8000, used_mb=2000)])
    run = world.submit(constraints={"vram_mb": 8000})

    told = world.do(lambda uow: runs.explain_run(uow, run.id, world.outside))

    assert told["verdict"] == "LATER"
    assert told["workers"][0]["reasons"] == [
        "needs 8000 MB VRAM, 6000 free on gpu 0 (2000 used by others)"
    ]


def test_a_run_nobody_could_ever_take_says_so(world: World) -> None:
    world.worker(cpu=2)
    run = world.submit(constraints={"cpu": 64})

    told = world.do(lambda uow: runs.explain_run(uow, run.id, world.outside))

    assert told["verdict"] == "NEVER"
    assert "64 CPU" in told["summary"]


# --- repeated requests -------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer_and_does_nothing(world: World) -> None:
    key = IdempotencyKey("submitRun", "k1", hash_of(b"/runs", b"{}"))
    done: list[str] = []

    def ask() -> tuple[Answer, bool]:
        def command() -> Answer:
            done.append("once")
            return Answer(201, {"id": f"run_{len(done)}"})

        return world.do(lambda uow: once(uow, key, command))

    assert ask() == (Answer(201, {"id": "run_1"}), False)
    assert ask() == (Answer(201, {"id": "run_1"}), True)
    assert done == ["once"]


def test_a_key_with_another_request_is_refused(world: World) -> None:
    answer = Answer(201, {})
    first = IdempotencyKey("submitRun", "k1", hash_of(b"a"))
    other = IdempotencyKey("submitRun", "k1", hash_of(b"b"))
    world.do(lambda uow: once(uow, first, lambda: answer))

    with pytest.raises(IdempotencyMismatch):
        world.do(lambda uow: once(uow, other, lambda: answer))


def test_a_refused_request_may_be_tried_again_under_its_key(world: World) -> None:
    key = IdempotencyKey("submitRun", "k1", hash_of(b"a"))

    def refuse() -> Answer:
        raise OpNotFound("x")

    with pytest.raises(OpNotFound):
        world.do(lambda uow: once(uow, key, refuse))

    assert world.do(lambda uow: once(uow, key, lambda: Answer(201, {})))[1] is False


# --- workers -----------------------------------------------------------------------------------


def test_a_copied_identity_on_another_machine_is_refused(world: World) -> None:
    worker = world.worker()
    world.submit()
    assignment = worker.take()

    with pytest.raises(SessionSuperseded, match="another machine"):
        worker.register(session="s2", machine_id="another")
    worker.session = "s1"

    assert worker.ends(assignment).status == "OK"


def test_a_worker_with_runs_is_removed_only_once_it_is_lost(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    worker.take()
    with pytest.raises(WorkerBusy):
        world.do(lambda uow: workers.remove_worker(uow, worker.id, world.outside))
    world.clock.advance(61)

    world.do(lambda uow: workers.remove_worker(uow, worker.id, world.outside))

    assert world.do(lambda uow: workers.list_workers(uow, world.outside)) == []
    assert world.run(run.id).state is OpRunState.PENDING


@pytest.mark.parametrize(
    ("after_s", "problem", "state"),
    [(0, "", "READY"), (0, "engine is gone", "UNHEALTHY"), (16, "", "SILENT"), (61, "", "LOST")],
)
def test_a_worker_is_seen_as_it_is(world: World, after_s: float, problem: str, state: str) -> None:
    worker = world.worker()
    worker.heartbeat(problem=problem)
    world.clock.advance(after_s)

    view = world.do(lambda uow: workers.get_worker(uow, "box", world.outside))

    assert (view.id, view.state) == (worker.id, state)


def test_two_gpus_of_one_uuid_are_refused(world: World) -> None:
    gpu = Gpu(uuid="g", vram_mb=1)

    with pytest.raises(InvalidInput, match="two GPUs"):
        world.worker(gpus=[gpu, gpu])

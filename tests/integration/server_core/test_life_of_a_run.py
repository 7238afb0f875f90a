from __future__ import annotations

import pytest

from gyoza.models import OpRunState
from gyoza.server.errors import SessionSuperseded, WorkerNotFound
from gyoza.server.use_cases import runs
from gyoza.server.use_cases.documents import run_document
from gyoza.wire.messages import ArtifactRef, Assignment, Gpu, Held, ReportedLog, ReportItem
from tests.integration.server_core.world import World


def named(assignment: Assignment) -> Held:
    return Held(run_id=assignment.run_id, fence=assignment.fence)


def test_a_run_goes_from_submit_to_completed(world: World) -> None:
    world.put(
        input_specs={"text": {"type": "string"}},
        output_specs={"words": {"type": "integer"}},
    )
    worker = world.worker()
    run = world.submit(op_definition="wordcount", inputs={"text": "a b"})

    assignment = worker.take()
    worker.started(assignment)
    world.clock.advance(2)
    answer = worker.ends(assignment, outputs={"words": 2}, exit_code=0)

    found = world.run(run.id)
    assert answer.status == "OK"
    assert found.state is OpRunState.COMPLETED
    assert found.outputs == {"words": 2}
    assert found.execution_summary.duration_ms == 2000
    assert found.worker_id == worker.id
    assert world.types(run.id) == ["ASSIGNED", "STARTED", "COMPLETED"]
    assert world.reserved_on(worker.id) == 0


def test_an_assignment_carries_everything_the_worker_needs(world: World) -> None:
    world.put(
        image_digest="sha256:1",
        input_specs={"text": {"type": "string"}},
        execution={"command": ["wc"], "timeouts": {"run_s": 60}},
    )
    worker = world.worker(gpus=[Gpu(uuid="g0", vram_mb=8000)])
    run = world.submit(
        op_definition="wordcount",
        inputs={"text": "a"},
        constraints={"vram_mb": 4000},
        timeouts={"run_s": 5},
    )

    got = worker.take()

    assert (got.run_id, got.attempt, got.fence) == (run.id, 1, 1)
    assert got.granted == {"cpu": 1, "ram_mb": 512, "vram_mb": 4000}
    assert got.gpu_uuid == "g0"
    assert got.execution == {"command": ["wc"], "timeouts": {"run_s": 5}}
    assert got.input_specs["text"]["type"] == "string"
    assert (got.image, got.image_digest) == ("wc:1", "sha256:1")


def test_claiming_again_by_the_same_id_gives_the_same_answer(world: World) -> None:
    worker = world.worker()
    world.submit()
    world.dispatch()

    first = worker.claim("c1")
    again = worker.claim("c1")
    other = worker.claim("c2")

    assert len(first) == 1
    assert again == first
    assert other == []


def test_what_a_doubled_claim_took_for_nobody_comes_with_the_next_claim(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    late = world.submit()
    world.dispatch()
    worker.claim("claim-1b")  # a copy that the network kept; its answer is read by nobody

    came = worker.ask("claim-2", holding=[named(held)]).assignments
    again = worker.ask("claim-2", holding=[named(held)]).assignments
    nothing = worker.ask("claim-3", holding=[named(held), named(came[0])]).assignments

    assert (held.run_id, [each.run_id for each in came]) == (run.id, [late.id])
    assert again == came
    assert nothing == []
    assert len(world.run(late.id).attempts) == 1


def test_what_the_worker_has_spoken_of_is_not_given_to_it_again(world: World) -> None:
    worker = world.worker()
    world.submit()
    told = worker.take()
    worker.report(told, phase="PULLING")
    world.submit()
    started = worker.take()
    worker.started(started)

    assert worker.ask("claim-3", holding=[]).assignments == []


def test_a_worker_that_does_not_say_what_it_holds_is_given_only_what_is_new(world: World) -> None:
    worker = world.worker()
    world.submit()
    worker.take()

    assert worker.ask("claim-2").assignments == []


def test_a_repeated_result_is_acknowledged_and_changes_nothing(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    worker.ends(assignment, outputs={"n": 1})

    again = worker.ends(assignment, outputs={"n": 1})
    other = worker.ends(assignment, outputs={"n": 2})

    assert (again.status, other.status) == ("OK", "STALE")
    assert world.run(run.id).outputs == {"n": 1}
    assert world.types(run.id).count("COMPLETED") == 1


def test_a_result_under_an_old_fence_has_no_effect(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    old = worker.take()
    worker.release(old)
    new = worker.take()

    late = worker.ends(old)

    assert new.fence == old.fence + 2
    assert late.status == "STALE"
    assert world.run(run.id).state is OpRunState.ASSIGNED


def test_refused_stale_writes_and_repeated_claims_are_counted(world: World) -> None:
    worker = world.worker()
    world.submit()
    held = worker.take()
    worker.claim("claim-1")
    world.clock.advance(61)
    world.expire_leases()

    stale = [worker.started(held), worker.ends(held), worker.release(held)]

    assert [answer.status for answer in stale] == ["STALE"] * 3
    assert world.outside.tally.counts["stale write refused"] == 3
    assert world.outside.tally.counts["duplicate claim answered"] == 1


def test_a_wrong_token_has_no_effect(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()

    answer = worker.report(assignment, token="0" * 64, result=worker.result())

    assert answer.status == "INVALID"
    assert world.run(run.id).state is OpRunState.ASSIGNED


def test_a_token_of_another_fence_has_no_effect(world: World) -> None:
    worker = world.worker()
    assignment = (world.submit(), worker.take())[1]

    answer = worker.report(assignment, fence=assignment.fence + 1, result=worker.result())

    assert answer.status == "INVALID"


def test_events_already_taken_are_acknowledged_and_ignored(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    events = [worker.event(1, "STARTED", ""), worker.event(2, "PROGRESS", 40)]
    worker.report(assignment, events=events)

    again = worker.report(assignment, events=[*events, worker.event(3, "INFO", "half")])

    assert again.status == "OK"
    assert world.types(run.id) == ["ASSIGNED", "STARTED", "PROGRESS", "INFO"]
    assert world.run(run.id).progress == 40


def test_a_gap_is_answered_with_the_number_expected_and_takes_nothing(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    worker.started(assignment)

    answer = worker.report(
        assignment, events=[worker.event(3, "INFO", "late")], result=worker.result()
    )

    assert (answer.status, answer.expected_event_seq) == ("GAP", 2)
    assert world.run(run.id).state is OpRunState.RUNNING


def test_logs_are_kept_in_order_and_a_gap_in_them_is_named(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    lines = [ReportedLog(seq=n, t_us=0, stream="stdout", text=f"line {n}\n") for n in (1, 2, 4)]

    taken = worker.report(assignment, logs=lines[:2])
    gap = worker.report(assignment, logs=lines[2:])

    found = world.do(lambda uow: runs.list_logs(uow, run.id))
    assert taken.status == "OK"
    assert (gap.status, gap.expected_log_seq) == ("GAP", 3)
    assert [chunk.text for chunk in found] == ["line 1\n", "line 2\n"]


def test_an_event_the_run_cannot_take_is_recorded_as_an_error_and_does_not_block(
    world: World,
) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()

    answer = worker.report(
        assignment, events=[worker.event(1, "PROGRESS", "a lot")], result=worker.result()
    )

    assert answer.status == "OK"
    assert world.types(run.id) == ["ASSIGNED", "ERROR", "COMPLETED"]
    assert "a lot" in str(world.events(run.id)[1].msg)


def test_each_item_of_a_report_is_answered_on_its_own(world: World) -> None:
    worker = world.worker()
    world.submit()
    world.submit()
    world.dispatch()
    first, second = worker.claim()
    items = [
        ReportItem(run_id=each.run_id, fence=each.fence, token=token, result=worker.result())
        for each, token in ((first, "wrong"), (second, second.token))
    ]

    answers = worker.report_items(*items)

    assert [answer.status for answer in answers] == ["INVALID", "OK"]
    assert world.run(second.run_id).state is OpRunState.COMPLETED


def test_outputs_are_checked_again_and_every_fault_is_named(world: World) -> None:
    world.put(
        output_specs={
            "words": {"type": "integer", "schema": {"minimum": 0}},
            "text": {"type": "string"},
        },
        retry_policy={"max_attempts": 3},
    )
    worker = world.worker()
    run = world.submit(op_definition="wordcount")

    worker.ends(worker.take(), outputs={"words": -1})

    found = world.run(run.id)
    assert (found.state, found.reason) == (OpRunState.FAILED, "OUTPUT_INVALID")
    errors = found.events[-1].payload["errors"]
    assert [error["pointer"] for error in errors] == ["/outputs/text", "/outputs/words"]
    assert len(found.attempts) == 1


def test_a_file_that_was_not_uploaded_makes_the_report_invalid(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()
    ref = ArtifactRef(sha256="ab" * 32, size_bytes=3, media_type="text/plain", name="a.txt")

    answer = worker.ends(assignment, artifacts=[ref])

    assert answer.status == "INVALID"
    assert "upload it" in answer.detail
    assert world.run(run.id).state is OpRunState.ASSIGNED


def test_a_released_assignment_waits_again_with_the_same_attempt(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    assignment = worker.take()

    answer = worker.release(assignment)

    found = world.run(run.id)
    assert answer.status == "OK"
    assert found.state is OpRunState.PENDING
    assert len(found.attempts) == 1
    assert world.reserved_on(worker.id) == 0


def test_a_run_that_started_cannot_be_released(world: World) -> None:
    worker = world.worker()
    world.submit()
    assignment = worker.take()
    worker.started(assignment)

    assert worker.release(assignment).status == "INVALID"


def test_the_document_of_a_run_puts_the_current_attempt_first(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    worker.ends(worker.take(), outputs={"n": 1})

    document = run_document(world.run(run.id))
    with_events = run_document(world.run(run.id), events=True)

    assert document["outputs"] == {"n": 1}
    assert (document["attempt"], document["worker_id"]) == (1, worker.id)
    assert "events" not in document["attempts"][0]
    assert [event["type"] for event in with_events["attempts"][0]["events"]] == [
        "ASSIGNED",
        "COMPLETED",
    ]


def test_an_unknown_worker_is_told_to_register_and_an_old_process_to_stop(world: World) -> None:
    worker = world.worker()
    worker.register(session="s2")
    worker.session = "s1"

    with pytest.raises(SessionSuperseded):
        worker.claim()
    worker.id = "wrk_nobody"
    with pytest.raises(WorkerNotFound):
        worker.claim()

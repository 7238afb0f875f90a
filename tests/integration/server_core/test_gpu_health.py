"""GPUs that get no more work although their box goes on: missing ones, and those in quarantine."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.models import OpRunState
from gyoza.server.errors import InvalidInput
from gyoza.server.use_cases import workers
from gyoza.wire.messages import Gpu, WorkerView
from tests.integration.server_core.world import Worker, World

FIRST, SECOND = Gpu(uuid="GPU-1", vram_mb=8000), Gpu(uuid="GPU-2", vram_mb=8000, index=1)


def fails_on_the_gpu(
    world: World, worker: Worker, image: str, reason: str = "USER_ERROR", **given: Any
) -> None:
    world.submit(image=image, constraints={"vram_mb": 1000})
    worker.ends(worker.take(), "FAILED", reason=reason, **given)


def view(world: World, worker: Worker) -> WorkerView:
    return world.do(lambda uow: workers.get_worker(uow, worker.id, world.outside))


def problems(world: World, worker: Worker) -> dict[str, str]:
    return {gpu.uuid: gpu.problem for gpu in view(world, worker).capacity.gpus}


def resume(world: World, worker: Worker, gpu: str) -> WorkerView:
    return world.do(lambda uow: workers.resume_worker(uow, worker.id, world.outside, gpu=gpu))


def test_three_different_ops_that_fail_in_a_row_put_their_gpu_in_quarantine(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    for image in ("a:1", "b:1", "c:1"):
        fails_on_the_gpu(world, worker, image)

    waits = world.submit(image="d:1", constraints={"vram_mb": 1000})
    cpu = world.submit(image="e:1")

    assert problems(world, worker)["GPU-1"] == (
        "in quarantine: 3 different ops failed on it in a row (a, b, c)"
    )
    assert world.dispatch() == [cpu.id]
    assert world.run(waits.id).state is OpRunState.PENDING
    assert world.outside.tally.counts["gpu quarantined"] == 1


def test_only_the_gpu_that_misbehaves_is_in_quarantine(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    for image in ("a", "b", "c"):
        fails_on_the_gpu(world, worker, image)
    worker.heartbeat(gpus=[FIRST, SECOND])

    world.submit(constraints={"vram_mb": 1000})

    assert worker.take().gpu_uuid == "GPU-2"
    assert problems(world, worker)["GPU-2"] == ""


@pytest.mark.parametrize(
    "images",
    [("a:1", "a:2", "a@sha256:3", "a:4"), ("a", "b", "a", "b")],
    ids=["versions of one", "two in turns"],
)
def test_fewer_than_three_different_ops_prove_nothing_however_often_they_fail(
    world: World, images: tuple[str, ...]
) -> None:
    worker = world.worker(gpus=[FIRST])

    for image in images:
        fails_on_the_gpu(world, worker, image)

    assert problems(world, worker) == {"GPU-1": ""}


def test_a_completion_between_failures_lets_the_count_begin_anew(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    fails_on_the_gpu(world, worker, "a")
    fails_on_the_gpu(world, worker, "b")
    world.submit(constraints={"vram_mb": 1000})
    worker.ends(worker.take())

    fails_on_the_gpu(world, worker, "c")
    fails_on_the_gpu(world, worker, "d")

    assert problems(world, worker) == {"GPU-1": ""}


@pytest.mark.parametrize("reason", ["BAD_INPUT", "IMAGE_NOT_FOUND", "PULL_FAILED", "WORKER_LOST"])
def test_what_a_gpu_cannot_be_behind_does_not_count_against_it(world: World, reason: str) -> None:
    worker = world.worker(gpus=[FIRST])

    for image in ("a", "b", "c"):
        fails_on_the_gpu(world, worker, image, reason, charged=False)

    assert problems(world, worker) == {"GPU-1": ""}


def test_a_gpu_that_the_engine_cannot_show_counts_against_it_and_not_against_the_runs(
    world: World,
) -> None:
    worker = world.worker(gpus=[FIRST])
    runs = [world.submit(image=each, constraints={"vram_mb": 1000}) for each in ("a", "b", "c")]

    world.dispatch()
    for assignment in worker.claim():
        worker.ends(assignment, "FAILED", reason="GPU_FAILED")

    assert problems(world, worker)["GPU-1"] != ""
    assert {world.run(run.id).state for run in runs} == {OpRunState.PENDING}


def test_cancelled_attempts_do_not_count_against_a_gpu(world: World) -> None:
    worker = world.worker(gpus=[FIRST])

    for image in ("a", "b", "c"):
        run = world.submit(image=image, constraints={"vram_mb": 1000})
        assignment = worker.take()
        world.cancel(run.id)
        worker.ends(assignment, "FAILED", reason="USER_ERROR")

    assert problems(world, worker) == {"GPU-1": ""}


def test_failures_without_a_gpu_count_against_none(world: World) -> None:
    worker = world.worker(gpus=[FIRST])

    for image in ("a", "b", "c"):
        world.submit(image=image)
        worker.ends(worker.take(), "FAILED", reason="USER_ERROR")

    assert problems(world, worker) == {"GPU-1": ""}


def test_attempts_on_a_gpu_in_quarantine_go_on_and_do_not_end_it(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    run = world.submit(image="lasts", constraints={"vram_mb": 1000})
    lasts = worker.take()
    for image in ("a", "b", "c"):
        fails_on_the_gpu(world, worker, image)

    answer = worker.heartbeat(lasts, gpus=[FIRST])
    worker.ends(lasts)

    assert (answer.stop, answer.cancel) == ([], [])
    assert world.run(run.id).state is OpRunState.COMPLETED
    assert problems(world, worker)["GPU-1"] != ""


def test_a_person_ends_the_quarantine_and_the_gpu_gets_work_again(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    for image in ("a", "b", "c"):
        fails_on_the_gpu(world, worker, image)
    world.submit(constraints={"vram_mb": 1000})

    shown = resume(world, worker, "GPU-1")

    assert [gpu.problem for gpu in shown.capacity.gpus] == [""]
    assert worker.take().gpu_uuid == "GPU-1"


def test_ending_a_quarantine_does_not_end_a_drain(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    world.do(lambda uow: workers.drain_worker(uow, worker.id, world.outside))

    assert resume(world, worker, "GPU-1").state == "DRAINING"


def test_a_gpu_that_the_worker_has_not_cannot_be_resumed(world: World) -> None:
    worker = world.worker(gpus=[FIRST])

    with pytest.raises(InvalidInput, match="its GPUs: GPU-1"):
        resume(world, worker, "GPU-7")


@pytest.mark.parametrize("said_by", ["heartbeat", "register"])
def test_a_registered_gpu_that_is_not_named_any_more_is_missing_and_comes_back_by_itself(
    world: World, said_by: str
) -> None:
    worker = world.worker(gpus=[FIRST, SECOND])

    def say(*gpus: Gpu) -> None:
        if said_by == "heartbeat":
            worker.heartbeat(gpus=list(gpus))
        else:
            worker.register(session=f"s{len(gpus)}", gpus=list(gpus))

    say(FIRST)
    since = problems(world, worker)["GPU-2"]
    world.clock.advance(60)
    say(FIRST)
    later = problems(world, worker)
    say(FIRST, SECOND)

    assert since.startswith("missing since")
    assert later == {"GPU-1": "", "GPU-2": since}
    assert problems(world, worker) == {"GPU-1": "", "GPU-2": ""}


def test_a_missing_gpu_gets_no_work_and_the_last_one_missing_is_told_too(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    worker.register(session="s2", gpus=[])
    world.submit(constraints={"vram_mb": 1000})

    assert world.dispatch() == []
    assert problems(world, worker)["GPU-1"].startswith("missing")


def test_a_missing_gpu_is_forgotten_when_a_person_says_so(world: World) -> None:
    worker = world.worker(gpus=[FIRST, SECOND])
    worker.heartbeat(gpus=[FIRST])

    resume(world, worker, "GPU-2")

    assert problems(world, worker) == {"GPU-1": ""}


def test_a_gpu_that_is_not_declared_any_more_is_just_gone(world: World) -> None:
    declared = Gpu(uuid="GPU-declared-0", vram_mb=8000, is_declared=True)
    worker = world.worker(gpus=[declared])

    worker.register(session="s2", gpus=[])

    assert problems(world, worker) == {}


def test_what_the_worker_finds_wrong_with_a_gpu_keeps_work_from_it_until_it_is_well(
    world: World,
) -> None:
    worker = world.worker(gpus=[FIRST])
    worker.heartbeat(gpus=[Gpu(uuid="GPU-1", vram_mb=8000, problem="NVML: lost")])
    world.submit(constraints={"vram_mb": 1000})

    refused = world.dispatch()
    worker.heartbeat(gpus=[FIRST])

    assert refused == []
    assert worker.take().gpu_uuid == "GPU-1"


def test_a_worker_that_was_removed_comes_back_with_nothing_against_its_gpus(world: World) -> None:
    worker = world.worker(gpus=[FIRST])
    for image in ("a", "b", "c"):
        fails_on_the_gpu(world, worker, image)

    world.do(lambda uow: workers.remove_worker(uow, worker.id, world.outside))
    worker.register(session="s2", gpus=[FIRST])

    assert problems(world, worker) == {"GPU-1": ""}


def test_a_worker_shows_what_is_reserved_on_each_gpu(world: World) -> None:
    worker = world.worker(gpus=[FIRST, SECOND])
    world.submit(constraints={"vram_mb": 3000})
    assignment = worker.take()

    assert view(world, worker).reserved["gpus"] == {assignment.gpu_uuid: 3000}


def test_images_are_kept_until_the_worker_tells_others(world: World) -> None:
    def known() -> frozenset[str]:
        (found,) = world.do(lambda uow: uow.workers.list())
        return found.images

    worker = world.worker(images=["a:1", "sha256:1"])
    first = known()
    worker.heartbeat()
    kept = known()
    worker.heartbeat(images=["b:1"])
    told = known()
    worker.register(session="s2")

    assert first == kept == {"a:1", "sha256:1"}
    assert told == known() == {"b:1"}

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from gyoza.server.scheduling.feasibility import CHECKS, Room, could_ever, fits, refusals
from gyoza.server.scheduling.snapshot import GpuSnapshot, Shape, WorkerSnapshot
from tests.unit.server.scheduling.strategies import shapes, workers


def a_worker(**given: Any) -> WorkerSnapshot:
    neutral: dict[str, Any] = {
        "worker_id": "wrk_a",
        "name": "box",
        "state": "READY",
        "cpu": 8,
        "ram_mb": 16000,
    }
    return WorkerSnapshot(**{**neutral, **given})


def texts(shape: Shape, worker: WorkerSnapshot) -> list[str]:
    return [reason.text for reason in refusals(shape, Room(worker))]


def test_a_worker_with_room_gives_no_reason() -> None:
    assert texts(Shape(cpu=8, ram_mb=16000), a_worker()) == []


@pytest.mark.parametrize("state", ["DRAINING", "UNHEALTHY", "SILENT", "LOST"])
def test_a_worker_that_is_not_ready_gets_no_work_and_says_its_state(state: Any) -> None:
    worker = a_worker(state=state, detail="engine does not answer")

    assert texts(Shape(), worker) == [f"is {state}: engine does not answer"]


def test_the_reason_names_what_is_needed_and_what_is_free_on_which_gpu() -> None:
    gpus = (GpuSnapshot("a", 0, 8000, reserved_mb=4000), GpuSnapshot("b", 1, 8000, used_mb=2000))

    found = texts(Shape(vram_mb=8000), a_worker(gpus=gpus))

    assert found == ["needs 8000 MB VRAM, 6000 free on gpu 1 (2000 used by others)"]


def test_vram_of_two_gpus_does_not_add_up() -> None:
    gpus = (GpuSnapshot("a", 0, 8000), GpuSnapshot("b", 1, 8000))

    found = texts(Shape(vram_mb=12000), a_worker(gpus=gpus))

    assert found == ["needs 12000 MB VRAM, its largest gpu has 8000"]


def test_every_no_is_listed_with_its_figures() -> None:
    shape = Shape(cpu=9, ram_mb=17000, vram_mb=1, selectors=(("zone", "b"),))

    found = texts(shape, a_worker(reserved_cpu=2, tags={"zone": "a"}))

    assert found == [
        "needs 9 CPU, 6 of 8 free",
        "needs 17000 MB RAM, 16000 of 16000 free",
        "needs 1 MB VRAM, has no GPU",
        "needs tag zone=b, has zone=a",
    ]


def test_a_worker_that_holds_more_than_it_offers_has_nothing_free_and_not_less() -> None:
    worker = a_worker(cpu=2, reserved_cpu=6)

    assert texts(Shape(cpu=1), worker) == ["needs 1 CPU, 0 of 2 free"]
    assert texts(Shape(cpu=0), worker) == []


def test_too_full_may_change_but_too_small_never_does() -> None:
    full = a_worker(reserved_cpu=8)
    small = a_worker(cpu=2)

    assert [reason.ever for reason in refusals(Shape(cpu=4), Room(full))] == [True]
    assert [reason.ever for reason in refusals(Shape(cpu=4), Room(small))] == [False]


def test_runs_share_a_gpu_as_long_as_their_vram_fits_together() -> None:
    room = Room(a_worker(gpus=(GpuSnapshot("a", 0, 8000),)))

    first = room.take(Shape(vram_mb=5000))

    assert first is not None
    assert first.uuid == "a"
    assert fits(Shape(vram_mb=3000), room)
    assert not fits(Shape(vram_mb=3001), room)


def test_a_run_takes_the_fullest_gpu_that_still_fits_it() -> None:
    gpus = (GpuSnapshot("a", 0, 24000), GpuSnapshot("b", 1, 24000, reserved_mb=16000))

    gpu = Room(a_worker(gpus=gpus)).take(Shape(vram_mb=8000))

    assert gpu is not None
    assert gpu.uuid == "b"


def test_a_gpu_in_quarantine_gets_no_work_and_says_why() -> None:
    gpus = (
        GpuSnapshot("a", 0, 8000),
        GpuSnapshot("b", 1, 16000, problem="three ops failed on it"),
    )
    worker = a_worker(gpus=gpus)

    found = refusals(Shape(vram_mb=12000), Room(worker))

    assert [reason.text for reason in found] == ["gpu 1 is quarantined: three ops failed on it"]
    assert [reason.ever for reason in found] == [True]
    assert Room(worker).gpu_for(Shape(vram_mb=4000)) == 0
    assert could_ever(Shape(vram_mb=12000), worker)


@given(shapes(), workers())
def test_the_quick_answer_and_the_reasons_always_agree(
    shape: Shape, worker: WorkerSnapshot
) -> None:
    room = Room(worker)

    assert fits(shape, room) == (refusals(shape, room) == [])


@given(shapes(), workers())
def test_a_worker_could_ever_take_a_shape_unless_a_reason_rules_it_out(
    shape: Shape, worker: WorkerSnapshot
) -> None:
    reasons = refusals(shape, Room(worker))

    assert could_ever(shape, worker) == all(reason.ever for reason in reasons)


def test_each_check_has_a_word_of_its_own() -> None:
    names = [check.__name__ for check in CHECKS]

    assert names == ["ready", "cpu", "ram", "gpu", "vram", "tags", "kept"]

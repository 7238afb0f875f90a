from __future__ import annotations

import pytest

from gyoza.server.scheduling import explain
from gyoza.server.scheduling.planner import Refusals, plan
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)
from tests.unit.server.scheduling.strategies import NOON


def refusals_of(shape: Shape, *workers: WorkerSnapshot) -> Refusals:
    run = PendingRun("run_a", 5, NOON, shape)
    return plan(Snapshot(NOON, (run,), workers)).unplaced[0].refusals


def test_without_workers_the_summary_says_how_to_start_one() -> None:
    found = explain.summary(refusals_of(Shape(cpu=1)), ())

    assert found == "no worker is registered; start one with `gyoza worker start`"


def test_the_summary_counts_who_refuses_and_why() -> None:
    full = WorkerSnapshot("w1", "a", "READY", 4, 8000, reserved_cpu=4)
    gone = WorkerSnapshot("w2", "b", "LOST", 4, 8000)

    found = explain.summary(refusals_of(Shape(cpu=1, ram_mb=512), full, gone), (full, gone))

    assert found == (
        "no worker has room now (1 without enough free CPU, 1 not ready): "
        "it needs 1 CPU, 512 MB RAM"
    )


@pytest.mark.parametrize(
    ("shape", "lacks"),
    [
        (Shape(8, 512), "needs 8 CPU, the most is 4"),
        (Shape(1, 9000), "needs 9000 MB RAM, the most is 8000"),
        (Shape(1, 512, 3000), "needs 3000 MB VRAM on one GPU, the most is 2000"),
        (Shape(1, 512, 0, (("zone", "a"),)), "needs tag zone=a, which none has"),
        (Shape(4, 8000), "none has all of 4 CPU, 8000 MB RAM"),
    ],
)
def test_the_summary_says_what_no_worker_has(shape: Shape, lacks: str) -> None:
    many_cpus = WorkerSnapshot("w1", "a", "READY", 4, 1000)
    much_ram = WorkerSnapshot("w2", "b", "READY", 2, 8000, (GpuSnapshot("g", 0, 2000),))

    found = explain.summary(refusals_of(shape, many_cpus, much_ram), (many_cpus, much_ram))

    assert found == f"no worker could ever take it: {lacks}"


def test_each_worker_is_listed_by_name_with_its_reasons() -> None:
    second = WorkerSnapshot("w1", "z", "READY", 1, 8000)
    first = WorkerSnapshot("w2", "a", "SILENT", 4, 8000)

    found = explain.worker_documents(refusals_of(Shape(cpu=2), second, first), (second, first))

    assert found == [
        {
            "worker_id": "w2",
            "name": "a",
            "fits": False,
            "ever": True,
            "reasons": ["is SILENT"],
        },
        {
            "worker_id": "w1",
            "name": "z",
            "fits": False,
            "ever": False,
            "reasons": ["needs 2 CPU, 1 of 1 free"],
        },
    ]


def test_needs_are_told_in_words_too_with_their_selectors_as_they_are_meant() -> None:
    shape = Shape(2, 512, 0, (("cores", ">=16"), ("zone", "a")))

    assert explain.needs_document(shape) == {
        "text": "2 CPU, 512 MB RAM, tag cores>=16, tag zone=a",
        "cpu": 2,
        "ram_mb": 512,
        "vram_mb": 0,
        "selectors": {"cores": ">=16", "zone": "a"},
    }

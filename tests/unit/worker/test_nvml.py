from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gyoza.worker.gpu import OwnUse
from gyoza.worker.nvml import BY_GRANT, GONE, NvmlGpus, container_of
from tests.unit.worker.fake_nvml import (
    MIB,
    Card,
    FakeNvml,
    NVMLError,
    NVMLError_LibraryNotFound,
    Process,
)

pytestmark = pytest.mark.anyio

OURS, THEIRS = "a" * 64, "b" * 64
HOMES = {1: OURS, 2: THEIRS, 3: ""}


def gpus_of(library: FakeNvml, *, limit_s: float = 10.0) -> NvmlGpus:
    return NvmlGpus(library, limit_s=limit_s, find_container=HOMES.get)


async def test_every_gpu_is_told_with_uuid_index_name_and_memory() -> None:
    gpus = gpus_of(FakeNvml(Card("GPU-a", 24_576), Card("GPU-b", 8192, name="NVIDIA T4")))

    found = await gpus.look()

    assert [(gpu.uuid, gpu.index, gpu.name, gpu.vram_mb) for gpu in found] == [
        ("GPU-a", 0, "NVIDIA A10", 24_576),
        ("GPU-b", 1, "NVIDIA T4", 8192),
    ]
    assert [gpu.problem for gpu in found] == ["", ""]


async def test_foreign_use_is_what_is_used_less_what_our_containers_use() -> None:
    processes = [Process(1, 3000 * MIB), Process(2, 2000 * MIB), Process(3, 500 * MIB)]
    gpus = gpus_of(FakeNvml(Card("GPU-a", used_mb=6000, processes=processes)))

    (gpu,) = await gpus.look(OwnUse(frozenset({OURS}), {"GPU-a": 8000}))

    assert (gpu.used_mb, gpu.used_basis) == (3000, "")


@pytest.mark.parametrize(
    "card",
    [
        Card("GPU-a", used_mb=6000, lists_processes=False),
        Card("GPU-a", used_mb=6000, processes=[Process(1, None)]),
        Card("GPU-a", used_mb=6000, processes=[Process(99, 100 * MIB)]),
    ],
    ids=["no list of processes", "no memory per process", "a process that cannot be looked up"],
)
async def test_where_processes_cannot_be_told_apart_the_grants_count_and_it_is_said(
    card: Card,
) -> None:
    (gpu,) = await gpus_of(FakeNvml(card)).look(OwnUse(frozenset({OURS}), {"GPU-a": 4000}))

    assert (gpu.used_mb, gpu.used_basis) == (2000, BY_GRANT)


async def test_a_gpu_that_answers_with_an_error_is_reported_with_it_and_the_others_are_well() -> (
    None
):
    library = FakeNvml(Card("GPU-a"), Card("GPU-b"))
    gpus = gpus_of(library)
    await gpus.look()
    library.cards[0].fault = "Unknown Error"

    sick, well = await gpus.look()

    assert (sick.uuid, sick.vram_mb, sick.problem) == ("GPU-a", 24_576, "NVML: Unknown Error")
    assert well.problem == ""


async def test_a_gpu_that_disappears_is_reported_as_gone_until_it_comes_back() -> None:
    library = FakeNvml(Card("GPU-a"), Card("GPU-b"))
    gpus = gpus_of(library)
    await gpus.look()
    library.lost = {1}

    gone = await gpus.look()
    library.lost = set()
    back = await gpus.look()

    assert [gpu.problem for gpu in gone] == ["", f"{GONE} (GPU 1: GPU is lost)"]
    assert [gpu.problem for gpu in back] == ["", ""]


async def test_a_library_that_hangs_is_given_up_and_asked_by_one_thread_only() -> None:
    library = FakeNvml(Card("GPU-a"))
    gpus = gpus_of(library, limit_s=0.05)
    await gpus.look()
    library.hang()

    (first,) = await gpus.look()
    (second,) = await gpus.look()

    assert first.problem == second.problem
    assert "has not answered" in first.problem
    library.answers.set()
    while (await gpus.look())[0].problem:  # noqa: ASYNC110  a thread's end tells nobody
        await asyncio.sleep(0.01)


async def test_a_driver_that_fails_as_a_whole_is_begun_anew() -> None:
    library = FakeNvml(Card("GPU-a"))
    gpus = gpus_of(library)
    await gpus.look()
    library.fault = NVMLError("Driver/library version mismatch")

    (broken,) = await gpus.look()
    library.fault = None
    (well,) = await gpus.look()

    assert "version mismatch" in broken.problem
    assert well.problem == ""
    assert library.begun == 1


async def test_without_a_driver_there_is_no_gpu_and_no_failure() -> None:
    library = FakeNvml()
    library.fault = NVMLError_LibraryNotFound("NVML Shared Library Not Found")
    gpus = gpus_of(library)

    assert await gpus.look() == []
    assert not gpus.has_library


@pytest.mark.parametrize(
    ("groups", "home"),
    [
        (f"0::/system.slice/docker-{OURS}.scope\n", OURS),
        (f"12:devices:/docker/{OURS}\n1:name=systemd:/docker/{OURS}\n", OURS),
        ("0::/user.slice/user-1000.slice\n", ""),
    ],
)
def test_a_process_is_known_by_its_control_group(tmp_path: Path, groups: str, home: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(groups)

    assert container_of(7, tmp_path) == home


def test_of_a_process_that_is_gone_nobody_can_tell(tmp_path: Path) -> None:
    assert container_of(7, tmp_path) is None
    assert container_of(os.getpid()) is not None

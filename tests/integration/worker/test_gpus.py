"""What a worker tells of its GPUs and images, and what containers get of the GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gyoza.worker.gpu import DeclaredGpus, declared_gpus
from gyoza.worker.nvml import NvmlGpus
from gyoza.worker.runtime.fake_script import PullScript, Script
from gyoza.worker.runtime.interface import ContainerSpec
from tests.integration.worker.rig import IMAGE, Rig, a_rig, an_assignment, until
from tests.unit.worker.fake_nvml import MIB, Card, FakeNvml, Process

pytestmark = pytest.mark.anyio
A_WHILE = Script(duration_s=60.0)


async def spec_of(rig: Rig, **changes: Any) -> ContainerSpec:
    """Assign, and give what the runtime was asked for."""
    await rig.server.assign(an_assignment(**changes))
    made = rig.runtime._containers  # noqa: SLF001
    await until(lambda: bool(made))
    return next(iter(made.values())).spec


async def test_a_gpu_that_nvml_knows_is_asked_of_the_engine_by_its_uuid(tmp_path: Path) -> None:
    gpus = NvmlGpus(FakeNvml(Card("GPU-a"), Card("GPU-b")))
    await gpus.look()

    async with a_rig(tmp_path, A_WHILE, gpus=gpus) as rig:
        spec = await spec_of(rig, gpu_uuid="GPU-b")

    assert spec.gpu_uuids == ("GPU-b",)
    assert (spec.env["GYOZA_GPU_UUID"], spec.env["GYOZA_GPU_INDEX"]) == ("GPU-b", "1")


async def test_of_a_declared_gpu_the_op_is_told_and_the_engine_is_not(tmp_path: Path) -> None:
    gpus = DeclaredGpus(declared_gpus([8000, 8000]))

    async with a_rig(tmp_path, A_WHILE, gpus=gpus) as rig:
        spec = await spec_of(rig, gpu_uuid="GPU-declared-1")

    assert spec.gpu_uuids == ()
    assert spec.env["GYOZA_GPU_UUID"] == "GPU-declared-1"
    assert spec.env["GYOZA_GPU_INDEX"] == "1"


async def test_a_run_without_a_gpu_is_told_of_none(tmp_path: Path) -> None:
    gpus = DeclaredGpus(declared_gpus([8000]))

    async with a_rig(tmp_path, A_WHILE, gpus=gpus) as rig:
        spec = await spec_of(rig)

    assert spec.gpu_uuids == ()
    assert not [name for name in spec.env if "GPU" in name]


async def test_heartbeats_tell_what_others_use_of_a_gpu(tmp_path: Path) -> None:
    card = Card("GPU-a", used_mb=5000, processes=[Process(1, 3000 * MIB)])
    gpus = NvmlGpus(FakeNvml(card), find_container={1: "fake-1"}.get)

    async with a_rig(tmp_path, A_WHILE, gpus=gpus, factor=100) as rig:
        await spec_of(rig, gpu_uuid="GPU-a")

        def used() -> list[int]:
            return [gpu.used_mb for gpu in rig.server.heartbeats[-1].gpus]

        await until(lambda: bool(rig.server.heartbeats) and used() == [2000])


async def test_heartbeats_go_on_while_nvml_hangs(tmp_path: Path) -> None:
    library = FakeNvml(Card("GPU-a"))
    gpus = NvmlGpus(library, limit_s=0.05)
    await gpus.look()
    library.hang()

    async with a_rig(tmp_path, A_WHILE, gpus=gpus, factor=100) as rig:
        await until(lambda: "not answered" in str([b.gpus for b in rig.server.heartbeats[-1:]]))
        told = len(rig.server.heartbeats)
        await until(lambda: len(rig.server.heartbeats) > told + 3)
        library.answers.set()


async def test_images_are_told_at_registration_and_then_only_what_changed(tmp_path: Path) -> None:
    scripts = {IMAGE: Script(), "op:2": Script()}

    async with a_rig(tmp_path, scripts, registry={"op:2": PullScript()}) as rig:
        await until(lambda: bool(rig.server.heartbeats))
        before = [each.images for each in rig.server.heartbeats]
        await rig.carry_out(image="op:2")
        await until(lambda: any(each.images for each in rig.server.heartbeats))
        news = [each.images for each in rig.server.heartbeats if each.images is not None]

    assert IMAGE in (rig.server.registrations[0].images or [])
    assert set(before) == {None}
    assert len(news) == 1
    assert "op:2" in news[0]

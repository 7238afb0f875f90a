from __future__ import annotations

import asyncio

import pytest

from gyoza.worker.clock import SystemClock
from gyoza.worker.images import KnownImages
from gyoza.worker.runtime.docker_answers import image_names
from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import PullScript, Script
from gyoza.worker.runtime.interface import EngineTimeout


def a_runtime() -> FakeRuntime:
    scripts = {"op:1": Script(), "op:2": Script()}
    return FakeRuntime(SystemClock(), scripts, registry={"op:2": PullScript()})


@pytest.mark.anyio
async def test_what_was_told_is_no_news_until_it_changes() -> None:
    runtime = a_runtime()
    images = KnownImages(runtime, SystemClock())
    await images.look()
    first = images.news
    images.told(first)

    told = images.news
    await runtime.pull("op:2", lambda _: None)
    await images.look()

    assert first is not None
    assert "op:1" in first
    assert told is None
    assert "op:2" in (images.news or [])


@pytest.mark.anyio
async def test_a_pull_is_looked_at_without_waiting_for_the_next_turn() -> None:
    runtime = a_runtime()
    images = KnownImages(runtime, SystemClock())
    watching = asyncio.ensure_future(images.watch())
    await runtime.pull("op:2", lambda _: None)

    images.changed()
    async with asyncio.timeout(5):
        while "op:2" not in (images.names or []):  # noqa: ASYNC110  nothing of ours tells it
            await asyncio.sleep(0)

    watching.cancel()
    assert images.news is not None


@pytest.mark.anyio
async def test_an_engine_that_cannot_list_leaves_what_was_known() -> None:
    runtime = a_runtime()
    images = KnownImages(runtime, SystemClock())
    await images.look()
    known = images.names
    runtime.fail_next("list_images", EngineTimeout("too slow"))

    await images.look()

    assert images.names == known


def test_images_are_known_by_every_name_a_run_may_use() -> None:
    digest = f"sha256:{'d' * 64}"
    answer = [
        {
            "Id": "sha256:1",
            "Created": 2,
            "RepoTags": ["ops/a:latest", "<none>:<none>"],
            "RepoDigests": [f"ops/a@{digest}"],
        },
        {"Id": "sha256:0", "Created": 1, "RepoTags": None, "RepoDigests": None},
    ]

    assert image_names(answer, 1) == sorted(
        ["sha256:1", "ops/a:latest", "ops/a", f"ops/a@{digest}", digest]
    )
    assert "sha256:0" in image_names(answer, 2)

"""Files that runs name: refused when they are not stored, spared while a run names them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gyoza.server.errors import InvalidInput
from gyoza.server.loops.collector import Collector
from gyoza.server.settings import Settings
from gyoza.server.storage.artifact_files import ArtifactFiles
from gyoza.server.storage.artifact_places import open_artifact_files
from gyoza.server.storage.artifact_store import FolderStore
from gyoza.server.storage.artifact_uploads import Uploads
from gyoza.server.storage.records import ArtifactRecord
from gyoza.server.use_cases import runs
from gyoza.wire.messages import PatchRun
from tests.integration.server_core.world import World

pytestmark = pytest.mark.anyio
CONTENT = b"content"
NAME = hashlib.sha256(CONTENT).hexdigest()
DAY = 24 * 3600


@pytest.fixture
def files(tmp_path: Path, world: World) -> ArtifactFiles:
    return open_artifact_files(None, tmp_path / "artifacts", world.clock.monotonic)


def value(sha256: str = NAME, size_bytes: int = len(CONTENT)) -> dict[str, Any]:
    facts = {"sha256": sha256, "size_bytes": size_bytes, "media_type": "text/plain", "name": "a"}
    return {"$artifact": facts}


async def upload(world: World, files: ArtifactFiles) -> None:
    record = ArtifactRecord(NAME, len(CONTENT), "text/plain", world.clock.now())

    async def note() -> bool:
        return await world.store.write(lambda uow: uow.artifacts.add(record))

    async def parts() -> AsyncGenerator[bytes, None]:
        yield CONTENT

    async with files.receiving(NAME, parts()) as arrived:
        await files.keep(arrived, note)


def collector(world: World, files: ArtifactFiles) -> Collector:
    return Collector(world.store, files, Settings(), world.clock)


async def is_known(world: World) -> bool:
    return await world.store.read(lambda uow: uow.artifacts.find(NAME)) is not None


async def test_a_file_that_is_not_stored_is_refused_wherever_it_stands(world: World) -> None:
    inputs = {"a": value(), "b": [1, {"c/d": value()}], "$artifact": "text", "e": {"$artifact": 1}}

    with pytest.raises(InvalidInput) as refused:
        world.submit(inputs=inputs)

    assert [fault.pointer for fault in refused.value.faults] == [
        "/inputs/a/$artifact/sha256",
        "/inputs/b/1/c~1d/$artifact/sha256",
    ]


async def test_a_file_of_another_size_is_refused(world: World, files: ArtifactFiles) -> None:
    await upload(world, files)

    with pytest.raises(InvalidInput) as refused:
        world.submit(inputs={"a": value(size_bytes=3)})

    assert [fault.pointer for fault in refused.value.faults] == ["/inputs/a/$artifact/size_bytes"]


async def test_in_a_batch_only_the_run_that_names_a_missing_file_is_refused(
    world: World, files: ArtifactFiles
) -> None:
    await upload(world, files)
    documents = [
        {"image": "i", "inputs": {"a": value()}},
        {"image": "i", "inputs": {"a": value("0" * 64)}},
        {"image": "i"},
    ]

    batch = world.do(lambda uow: runs.submit_batch(uow, documents, world.outside))

    kinds = [type(outcome) for outcome in batch.outcomes]
    assert kinds == [str, InvalidInput, str]


async def test_outputs_that_a_caller_writes_may_name_stored_files_only(world: World) -> None:
    run = world.submit()

    with pytest.raises(InvalidInput, match="not stored"):
        world.do(lambda uow: runs.patch_run(uow, run.id, PatchRun(outputs={"a": value()})))


async def test_a_file_that_no_run_names_goes_after_its_grace(
    world: World, files: ArtifactFiles
) -> None:
    await upload(world, files)
    duty = collector(world, files)

    world.clock.advance(DAY - 1)
    await duty.tick()
    spared = await is_known(world), await files.size(NAME)
    world.clock.advance(2)
    await duty.tick()

    assert spared == (True, len(CONTENT))
    assert (await is_known(world), await files.size(NAME)) == (False, None)


async def test_a_file_stays_as_long_as_a_run_names_it(world: World, files: ArtifactFiles) -> None:
    await upload(world, files)
    run = world.submit(inputs={"a": [value()]})
    duty = collector(world, files)

    world.clock.advance(30 * DAY)
    await duty.tick()
    spared = await is_known(world)
    world.cancel(run.id)
    world.clock.advance(31 * DAY)
    before = world.clock.now() - timedelta(days=30)
    world.do(lambda uow: uow.runs.prune_ended(before, 10))
    await duty.tick()

    assert spared
    assert (await is_known(world), await files.size(NAME)) == (False, None)


async def test_an_upload_between_the_rows_end_and_the_files_end_is_not_lost(
    world: World, files: ArtifactFiles
) -> None:
    await upload(world, files)
    world.clock.advance(2 * DAY)
    before = world.clock.now() - timedelta(days=1)

    async def known() -> bool:
        return await is_known(world)

    forgotten = await world.store.write(lambda uow: uow.artifacts.forget(NAME, before))
    await upload(world, files)
    removed = await files.remove(NAME, known)

    assert (forgotten, removed) == (True, False)
    assert (await is_known(world), await files.size(NAME)) == (True, len(CONTENT))


async def test_uploads_and_collections_at_the_same_moment_never_lose_a_file(
    world: World, files: ArtifactFiles
) -> None:
    duty = collector(world, files)
    for _ in range(20):
        await upload(world, files)
        world.clock.advance(2 * DAY)

        await asyncio.gather(duty.tick(), upload(world, files), duty.tick())

        # Whichever came last, the row and the file are both there, or neither is.
        assert await is_known(world) == (await files.size(NAME) is not None)


async def test_a_crash_between_row_and_file_leaves_what_the_sweep_finds(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "artifacts"
    files = ArtifactFiles(FolderStore(folder), Uploads(folder / "incoming", lambda: 0.0))
    await upload(world, files)
    world.do(lambda uow: uow.artifacts.forget(NAME, world.clock.now() + timedelta(days=1)))
    stored = folder / NAME[:2] / NAME
    young = world.clock.now().timestamp()
    os.utime(stored, (young, young))

    await collector(world, files).tick()
    spared = stored.exists()
    os.utime(stored, (young - 2 * DAY, young - 2 * DAY))
    await collector(world, files).tick()

    assert (spared, stored.exists()) == (True, False)

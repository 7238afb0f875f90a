"""Artifact files are complete and verified, or absent; beginnings of them can be gone on with."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from gyoza.server.errors import (
    ArtifactTooLarge,
    HashMismatch,
    StoreUnavailable,
    UploadBusy,
    UploadOffset,
)
from gyoza.server.storage.artifact_files import ArtifactFiles
from gyoza.server.storage.artifact_places import open_artifact_files
from gyoza.server.storage.artifact_store import FolderStore
from gyoza.server.storage.artifact_uploads import IDLE_S, Upload, Uploads

pytestmark = pytest.mark.anyio
CONTENT = b"some bytes" * 1000
NAME = hashlib.sha256(CONTENT).hexdigest()


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def uploads(tmp_path: Path, time: Time) -> Uploads:
    return Uploads(tmp_path / "incoming", time)


@pytest.fixture
def files(tmp_path: Path, uploads: Uploads) -> ArtifactFiles:
    return ArtifactFiles(FolderStore(tmp_path), uploads)


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def noted() -> bool:
    return True


async def stream(
    chunks: Iterable[bytes], then: Exception | None = None
) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


async def save(files: ArtifactFiles, chunks: AsyncGenerator[bytes, None], **more: int) -> None:
    async with aclosing(chunks) as parts, files.receiving(NAME, parts, **more) as upload:
        await files.keep(upload, noted)


async def send_a_beginning(files: ArtifactFiles, size: int) -> None:
    with suppress(ConnectionError):
        await save(files, stream([CONTENT[:size]], ConnectionError("gone")))


async def read(files: ArtifactFiles) -> bytes:
    return b"".join([piece async for piece in files.read(NAME, 0, len(CONTENT))])


async def test_a_file_is_found_under_its_hash(files: ArtifactFiles) -> None:
    await save(files, stream([CONTENT[:10], CONTENT[10:]]))

    assert await files.size(NAME) == len(CONTENT)
    assert await read(files) == CONTENT


async def test_the_same_file_again_changes_nothing(files: ArtifactFiles, tmp_path: Path) -> None:
    for _ in range(2):
        await save(files, stream([CONTENT]))

    assert [path.name for path in everything_in(tmp_path)] == [NAME]


async def test_other_bytes_than_the_name_says_are_not_kept(
    files: ArtifactFiles, tmp_path: Path
) -> None:
    with pytest.raises(HashMismatch, match=NAME):
        await save(files, stream([b"other"]))

    assert everything_in(tmp_path) == []


async def test_too_many_bytes_are_refused_on_the_way(files: ArtifactFiles, tmp_path: Path) -> None:
    with pytest.raises(ArtifactTooLarge, match="5000"):
        await save(files, stream([b"x" * 1000] * 1000), max_bytes=5000)

    assert everything_in(tmp_path) == []


async def test_an_upload_that_broke_off_goes_on_where_it_was(
    files: ArtifactFiles, tmp_path: Path
) -> None:
    await send_a_beginning(files, 700)
    arrived = await files.offset(NAME)

    await save(files, stream([CONTENT[700:]]), offset=700)

    assert arrived == 700
    assert await read(files) == CONTENT
    assert [path.name for path in everything_in(tmp_path)] == [NAME]


async def test_an_upload_goes_on_after_a_restart(files: ArtifactFiles, tmp_path: Path) -> None:
    await send_a_beginning(files, 700)
    restarted = ArtifactFiles(FolderStore(tmp_path), Uploads(tmp_path / "incoming", Time()))

    await save(restarted, stream([CONTENT[700:]]), offset=700)

    assert await read(restarted) == CONTENT


async def test_a_beginning_that_is_wrong_is_found_out_at_the_end_and_dropped(
    files: ArtifactFiles, tmp_path: Path
) -> None:
    (tmp_path / "incoming" / f"{NAME}.x.part").write_bytes(b"y" * 700)

    with pytest.raises(HashMismatch):
        await save(files, stream([CONTENT[700:]]), offset=700)

    assert everything_in(tmp_path) == []


async def test_going_on_elsewhere_is_refused_with_the_right_place(files: ArtifactFiles) -> None:
    await send_a_beginning(files, 700)

    with pytest.raises(UploadOffset) as refused:
        await save(files, stream([CONTENT]), offset=1)

    assert refused.value.offset == 700
    assert await files.offset(NAME) == 700


async def test_two_uploads_of_one_content_do_not_mix(files: ArtifactFiles, tmp_path: Path) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        yield CONTENT[:700]
        started.set()
        await go.wait()
        yield CONTENT[700:]

    first = asyncio.create_task(save(files, slow()))
    await started.wait()
    await save(files, stream([CONTENT]))
    go.set()
    await first

    assert await read(files) == CONTENT
    assert [path.name for path in everything_in(tmp_path)] == [NAME]


def test_an_upload_that_is_going_on_is_not_taken_over(uploads: Uploads) -> None:
    upload = uploads.begin(NAME)
    upload.write(CONTENT[:700])

    with pytest.raises(UploadBusy):
        uploads.resume(NAME, 700)

    upload.write(CONTENT[700:])
    upload.finish()
    upload.close()


def test_a_silent_connection_is_taken_over_and_can_write_no_more(
    uploads: Uploads, time: Time
) -> None:
    silent = uploads.begin(NAME)
    silent.write(CONTENT[:700])
    time.now_s += IDLE_S

    successor = uploads.resume(NAME, 700)

    with pytest.raises(StoreUnavailable, match="another connection"):
        silent.write(b"late")
    uploads.release(silent)
    successor.write(CONTENT[700:])
    successor.finish()
    successor.close()
    assert uploads.offset(NAME) == len(CONTENT)


def test_of_two_beginnings_the_longer_one_stays(uploads: Uploads, tmp_path: Path) -> None:
    for size in (10, 700, 20):
        upload = uploads.begin(NAME)
        upload.write(CONTENT[:size])
        uploads.release(upload)

    assert [path.stat().st_size for path in everything_in(tmp_path)] == [700]


def test_a_beginning_that_nobody_goes_on_with_expires(uploads: Uploads, tmp_path: Path) -> None:
    forgotten, held = uploads.begin(NAME), uploads.begin("0" * 64)
    for upload in (forgotten, held):
        upload.write(b"x")
        os.utime(upload.path, (1000, 1000))
    uploads.release(forgotten)
    os.utime(forgotten.path, (1000, 1000))

    assert uploads.expire(999) == 0
    assert uploads.expire(1001) == 1
    assert everything_in(tmp_path) == [held.path]
    held.close()


class FullDisk(Upload):
    """A disk with room for 500 bytes."""

    room = 500

    def _write(self, piece: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super()._write(piece[: self.room])
        self.room -= written
        return written


async def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, time: Time) -> None:
    uploads = Uploads(tmp_path / "incoming", time, kind=FullDisk)
    files = ArtifactFiles(FolderStore(tmp_path), uploads)

    with pytest.raises(StoreUnavailable, match="No space left"):
        await save(files, stream([CONTENT[:400], CONTENT[400:]]))

    assert everything_in(tmp_path) == []
    assert await files.size(NAME) is None


async def test_a_file_that_a_row_names_again_is_not_removed(files: ArtifactFiles) -> None:
    await save(files, stream([CONTENT]))

    removed = await files.remove(NAME, noted)

    assert not removed
    assert await files.size(NAME) == len(CONTENT)


async def test_a_removal_waits_for_an_upload_that_is_being_stored(files: ArtifactFiles) -> None:
    order: list[str] = []

    async def note() -> bool:
        asyncio.get_running_loop().create_task(remove())
        for _ in range(50):
            await asyncio.sleep(0)
        order.append("noted")
        return True

    done = asyncio.Event()

    async def remove() -> None:
        async def is_known() -> bool:
            order.append("asked")
            return True

        await files.remove(NAME, is_known)
        done.set()

    async with files.receiving(NAME, stream([CONTENT])) as upload:
        await files.keep(upload, note)
    await done.wait()

    assert order == ["noted", "asked"]
    assert await files.size(NAME) == len(CONTENT)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", NAME.upper(), NAME[:-1], f"{NAME}/x"])
def test_a_name_that_is_no_hash_never_becomes_a_path(uploads: Uploads, name: str) -> None:
    for act in (uploads.begin, uploads.offset):
        with pytest.raises(ValueError, match="SHA-256"):
            act(name)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreUnavailable, match="file/artifacts"):
        open_artifact_files(None, tmp_path / "file" / "artifacts", Time())


async def test_a_folder_can_be_named_by_its_url(tmp_path: Path) -> None:
    files = open_artifact_files(f"file://{tmp_path}/a%20place", tmp_path / "unused", Time())

    await save(files, stream([CONTENT]))

    assert (tmp_path / "a place" / NAME[:2] / NAME).read_bytes() == CONTENT
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("url", ["ftp://x/y", "relative/path", "file://host/path", "file:x"])
def test_a_url_that_names_no_place_is_refused_with_what_would(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreUnavailable, match="expected"):
        open_artifact_files(url, tmp_path, Time())

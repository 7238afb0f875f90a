"""Artifact files are complete and verified, or absent."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gyoza.server.errors import BodyTooLarge, HashMismatch, StoreUnavailable
from gyoza.server.storage.artifact_files import ArtifactFiles

CONTENT = b"some bytes" * 1000
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> ArtifactFiles:
    return ArtifactFiles(tmp_path / "artifacts")


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_found_under_its_hash_after_a_restart(
    files: ArtifactFiles, tmp_path: Path
) -> None:
    size = files.save_now(NAME, [CONTENT[:10], CONTENT[10:]])

    found = ArtifactFiles(tmp_path / "artifacts").find(NAME)
    assert size == len(CONTENT)
    assert found is not None
    assert found.read_bytes() == CONTENT


@pytest.mark.anyio
async def test_a_stream_is_received_without_a_thread_of_the_callers(files: ArtifactFiles) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield CONTENT[:1]
        yield CONTENT[1:]

    assert await files.save(NAME, chunks()) == len(CONTENT)
    assert files.find(NAME) is not None


def test_other_bytes_than_the_name_says_are_not_kept(files: ArtifactFiles, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch, match=NAME):
        files.save_now(NAME, [b"other"])

    assert files.find(NAME) is None
    assert everything_in(tmp_path) == []


def test_too_many_bytes_are_refused_on_the_way(files: ArtifactFiles, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(BodyTooLarge, match="5000"):
        files.save_now(NAME, endless(), max_bytes=5000)

    assert everything_in(tmp_path) == []


def test_a_sender_that_goes_away_leaves_nothing(files: ArtifactFiles, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT[:10]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        files.save_now(NAME, broken())

    assert everything_in(tmp_path) == []


def test_the_same_file_again_changes_nothing(files: ArtifactFiles, tmp_path: Path) -> None:
    for _ in range(2):
        files.save_now(NAME, [CONTENT])

    assert [path.name for path in everything_in(tmp_path)] == [NAME]


def test_what_a_killed_server_left_half_received_is_removed(tmp_path: Path) -> None:
    left_over = tmp_path / "artifacts" / "incoming" / "tmp123"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"half")

    ArtifactFiles(tmp_path / "artifacts")

    assert not left_over.exists()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", NAME.upper(), NAME[:-1], f"{NAME}/x"])
def test_a_name_that_is_no_hash_never_becomes_a_path(files: ArtifactFiles, name: str) -> None:
    assert files.find(name) is None
    with pytest.raises(ValueError, match="SHA-256"):
        files.save_now(name, [b""])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreUnavailable, match="file/artifacts"):
        ArtifactFiles(tmp_path / "file" / "artifacts")

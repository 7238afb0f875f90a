"""What every place of artifacts promises."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import httpx2
import pytest
from obstore.store import from_url

from gyoza.server.clock import SystemClock
from gyoza.server.errors import StoreUnavailable
from gyoza.server.main import create_app
from gyoza.server.settings import Settings
from gyoza.server.storage.artifact_objects import ObjectStore
from gyoza.server.storage.artifact_places import open_artifact_files
from gyoza.server.storage.artifact_store import ArtifactStore
from gyoza.server.storage.store import Store

CONTENT = bytes(range(256)) * 100
NAME = hashlib.sha256(CONTENT).hexdigest()
# More than two parts of a multipart upload.
LARGE = b"0123456789abcdef" * (18 * 1024 * 64)


def adopt(store: ArtifactStore, folder: Path, content: bytes = CONTENT) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    file = folder / "arrived"
    if (folder / "store").exists():  # the folder adopts by renaming
        file = folder / "store" / "arrived"
    file.write_bytes(content)
    store.adopt(file, sha256)
    file.unlink(missing_ok=True)
    return sha256


def _of_one_beginning(count: int) -> list[bytes]:
    """So many contents whose hashes begin with the same two digits."""
    contents = (str(number).encode() for number in range(100_000))
    alike = (each for each in contents if hashlib.sha256(each).hexdigest().startswith("00"))
    return list(islice(alike, count))


def test_what_was_adopted_comes_back(store: ArtifactStore, tmp_path: Path) -> None:
    adopt(store, tmp_path)

    assert store.size(NAME) == len(CONTENT)
    assert b"".join(store.read(NAME, 0, len(CONTENT))) == CONTENT


def test_a_range_is_read_without_the_rest(store: ArtifactStore, tmp_path: Path) -> None:
    adopt(store, tmp_path)

    assert b"".join(store.read(NAME, 10, 300)) == CONTENT[10:300]
    assert b"".join(store.read(NAME, 10, 10)) == b""


def test_a_file_of_several_parts_comes_back_whole(store: ArtifactStore, tmp_path: Path) -> None:
    sha256 = adopt(store, tmp_path, LARGE)

    digest = hashlib.sha256()
    for piece in store.read(sha256, 0, len(LARGE)):
        digest.update(piece)

    assert digest.hexdigest() == sha256


def test_an_empty_file_is_a_file(store: ArtifactStore, tmp_path: Path) -> None:
    sha256 = adopt(store, tmp_path, b"")

    assert store.size(sha256) == 0
    assert list(store.read(sha256, 0, 0)) == []


def test_what_is_not_there_has_no_size_and_cannot_be_read(store: ArtifactStore) -> None:
    assert store.size(NAME) is None
    with pytest.raises(StoreUnavailable):
        list(store.read(NAME, 0, 10))


def test_adopting_and_deleting_twice_is_harmless(store: ArtifactStore, tmp_path: Path) -> None:
    for _ in range(2):
        adopt(store, tmp_path)
    for _ in range(2):
        store.delete(NAME)

    assert store.size(NAME) is None


def test_every_file_is_listed_with_the_time_it_came(store: ArtifactStore, tmp_path: Path) -> None:
    began = datetime.now(UTC).timestamp() - 2  # noqa: TID251 - stores tell the machine's time
    names = {adopt(store, tmp_path, str(number).encode()) for number in range(3)}

    listed = list(store.list())

    assert {each.sha256 for each in listed} == names
    assert all(each.stored_at.timestamp() >= began for each in listed)


def test_a_file_that_is_removed_while_files_are_listed_ends_no_list(
    store: ArtifactStore, tmp_path: Path
) -> None:
    # Of one beginning, so that a folder is read at once and told file by file.
    names = [adopt(store, tmp_path, content) for content in _of_one_beginning(4)]
    listed = store.list()
    told = next(listed).sha256
    removed = [name for name in names if name != told][:2]
    for name in removed:
        store.delete(name)

    rest = {each.sha256 for each in listed}

    assert {*names} - {told, *removed} <= rest <= {*names} - {told}


@pytest.mark.parametrize("name", ["", "../../etc/passwd", NAME.upper(), NAME[:-1], f"{NAME}/x"])
def test_a_name_that_is_no_hash_never_becomes_a_path(store: ArtifactStore, name: str) -> None:
    for act in (store.size, store.delete, lambda sha256: list(store.read(sha256, 0, 1))):
        with pytest.raises(ValueError, match="SHA-256"):
            act(name)


@pytest.mark.anyio
async def test_a_server_that_is_told_a_bucket_keeps_its_files_there(
    s3_place: str, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, artifact_store=s3_place)
    store = Store.open(settings.database_path, clock=SystemClock())
    app = create_app(settings, store, SystemClock())
    path = f"/api/v1/artifacts/{NAME}"
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        stored = await client.put(path, content=CONTENT)
        fetched = await client.get(path, headers={"Range": "bytes=100-"})
    store.close()

    assert (stored.status_code, fetched.status_code) == (201, 206)
    assert fetched.content == CONTENT[100:]
    assert ObjectStore("s3", from_url(s3_place)).size(NAME) == len(CONTENT)
    assert [path.name for path in (tmp_path / "artifacts").rglob("*")] == ["incoming"]


@pytest.mark.usefixtures("s3_place")
def test_a_bucket_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = ObjectStore("s3://absent", from_url("s3://absent-bucket"))
    (tmp_path / "arrived").write_bytes(CONTENT)

    with pytest.raises(StoreUnavailable, match="s3://absent"):
        store.adopt(tmp_path / "arrived", NAME)


def test_a_place_without_its_settings_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    with pytest.raises(StoreUnavailable, match="Account must be specified") as refused:
        open_artifact_files("az://container/prefix", tmp_path, lambda: 0.0)

    assert "\n" not in str(refused.value)

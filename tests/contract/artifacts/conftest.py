"""The stores that the artifacts' suite runs on; S3 over its wire protocol, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore, MemoryStore, from_url

from gyoza.server.storage.artifact_objects import ObjectStore
from gyoza.server.storage.artifact_store import ArtifactStore, FolderStore


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A small S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_place(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, with the environment that a deployment would have."""
    import boto3  # noqa: PLC0415 - takes a second to load, and only this store needs it

    environment = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_ALLOW_HTTP": "true",
    }
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    bucket = f"artifacts-{abs(hash(str(tmp_path))):x}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["folder", "local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """An empty store of each kind."""
    folder = tmp_path / "store"
    if request.param == "folder":
        return FolderStore(folder)
    if request.param == "local":
        return ObjectStore("local", LocalStore(folder, mkdir=True))
    if request.param == "memory":
        return ObjectStore("memory", MemoryStore())
    return ObjectStore("s3", from_url(request.getfixturevalue("s3_place")))

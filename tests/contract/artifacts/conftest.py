"""The stores that the artifacts' suite runs on; S3 over its wire protocol, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore, MemoryStore, S3Store

from gyoza.server.storage.artifact_objects import ObjectStore
from gyoza.server.storage.artifact_store import ArtifactStore, FolderStore

BUCKET = "artifacts"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A small S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def an_s3_store(url: str, name: str) -> Any:
    """A bucket of the test's own, opened as a deployment would by URL and environment."""
    import boto3  # noqa: PLC0415 - takes a second to load, and only this store needs it

    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    bucket = f"{BUCKET}-{name}"
    boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(
        Bucket=bucket
    )
    config: Any = {"endpoint": url, "region": "us-east-1", **keys}
    return S3Store.from_url(
        f"s3://{bucket}/some/prefix",
        config=config,
        client_options={"allow_http": True},
    )


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
    url: str = request.getfixturevalue("s3_url")
    return ObjectStore("s3", an_s3_store(url, f"{abs(hash(str(tmp_path))):x}"))

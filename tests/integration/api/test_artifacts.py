"""Files by their hash: streamed in and out, checked, never shown as pages."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.integration.api.driver import Api, Running

pytestmark = pytest.mark.anyio
CONTENT = b"<script>alert(1)</script>"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"/api/v1/artifacts/{SHA256}"


async def upload(api: Api, content: bytes = CONTENT, path: str = PATH) -> httpx2.Response:
    return await api.send("PUT", path, content=content, headers={"Content-Type": "text/html"})


async def test_a_file_is_stored_once_under_its_hash(api: Api) -> None:
    first, again = await upload(api), await upload(api)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["sha256"], first.json()["size_bytes"]) == (SHA256, len(CONTENT))


async def test_a_file_comes_back_as_a_download_and_not_as_a_page(api: Api) -> None:
    await upload(api)

    answer = await api.send("GET", PATH)

    assert answer.content == CONTENT
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_part_of_a_file_can_be_asked_for(api: Api) -> None:
    await upload(api)

    answer = await api.client.get(PATH, headers={"Range": "bytes=1-6"})

    assert (answer.status_code, answer.content) == (206, CONTENT[1:7])


async def test_head_tells_the_size_without_the_bytes(api: Api) -> None:
    await upload(api)

    answer = await api.send("HEAD", PATH)

    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.content == b""


async def test_bytes_of_another_hash_are_refused_and_not_kept(api: Api) -> None:
    answer = await upload(api, b"other")

    assert (answer.status_code, answer.json()["code"]) == (422, "HASH_MISMATCH")
    assert (await api.send("GET", PATH)).status_code == 404


async def test_an_unknown_file_is_not_found(api: Api) -> None:
    answer = await api.send("GET", PATH)

    assert (answer.status_code, answer.json()["code"]) == (404, "ARTIFACT_NOT_FOUND")


@pytest.mark.parametrize("name", ["x", SHA256.upper(), "..%2f..%2fgyoza.db", "0" * 63])
async def test_a_name_that_is_no_hash_is_refused(api: Api, name: str) -> None:
    answer = await api.client.put(f"/api/v1/artifacts/{name}", content=CONTENT)

    assert answer.status_code in {404, 422}
    assert answer.json()["code"] in {"NOT_FOUND", "INVALID_REQUEST"}


async def test_a_file_over_the_limit_is_refused_while_it_arrives(running: Running) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    async with running(max_artifact_bytes=5000) as api:
        answer = await api.send("PUT", PATH, content=endless())

    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_both_kinds_of_key_store_and_fetch(running: Running) -> None:
    async with running(api_key="caller-key", worker_key="worker-key") as api:
        put = await api.client.put(PATH, content=CONTENT, headers={"X-API-Key": "worker-key"})
        got = await api.client.get(PATH, headers={"X-API-Key": "caller-key"})

    assert (put.status_code, got.content) == (201, CONTENT)

"""Files by their hash: streamed in and out, checked, never shown as pages."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from gyoza.worker.server_http import HttpServer
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


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=5-", 206, CONTENT[5:]),
        ("bytes=-4", 206, CONTENT[-4:]),
        ("bytes=20-9999", 206, CONTENT[20:]),
        ("bytes=-9999", 200, CONTENT),
        ("bytes=0-1,4-5", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
        ("bytes=5-2", 200, CONTENT),
        ("bytes=9999-", 416, b""),
        ("bytes=-0", 416, b""),
    ],
)
async def test_a_range_is_read_as_rfc_9110_has_it(
    api: Api, asked: str, status: int, content: bytes
) -> None:
    await upload(api)

    answer = await api.client.get(PATH, headers={"Range": asked})

    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers["content-length"] == str(len(content))


async def test_a_range_of_another_file_is_not_given(api: Api) -> None:
    await upload(api)

    other = {"Range": "bytes=5-", "If-Range": '"other"'}
    same = {"Range": "bytes=5-", "If-Range": f'"{SHA256}"'}

    assert (await api.client.get(PATH, headers=other)).status_code == 200
    assert (await api.client.get(PATH, headers=same)).status_code == 206


async def send_part(api: Api, offset: int, part: bytes, **more: str) -> httpx2.Response:
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/partial-upload", **more}
    return await api.send("PATCH", PATH, content=part, headers=headers)


async def test_a_file_can_be_sent_in_parts_that_follow_each_other(api: Api) -> None:
    unfinished = {"Upload-Complete": "?0"}

    first = await send_part(api, 0, CONTENT[:5], **unfinished)
    asked = await api.send("HEAD", PATH)
    last = await send_part(api, 5, CONTENT[5:], **{"Upload-Media-Type": "text/html"})

    assert (first.status_code, first.headers["upload-offset"]) == (204, "5")
    assert (asked.status_code, asked.headers["upload-offset"]) == (404, "5")
    assert (last.status_code, last.json()["media_type"]) == (201, "text/html")
    assert (await api.send("GET", PATH)).content == CONTENT


async def test_a_part_that_does_not_follow_is_told_the_place(api: Api) -> None:
    await send_part(api, 0, CONTENT[:5], **{"Upload-Complete": "?0"})

    answer = await send_part(api, 3, CONTENT[3:])

    assert (answer.status_code, answer.json()["code"]) == (409, "UPLOAD_OFFSET")
    assert answer.headers["upload-offset"] == "5"


@pytest.mark.parametrize("offset", ["", "-1", "x", "9" * 30])
async def test_an_offset_that_is_no_number_is_refused(api: Api, offset: str) -> None:
    answer = await api.send("PATCH", PATH, content=b"x", headers={"Upload-Offset": offset})

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_parts_of_another_file_are_dropped_at_the_end(api: Api) -> None:
    await send_part(api, 0, b"other", **{"Upload-Complete": "?0"})

    answer = await send_part(api, 5, CONTENT[5:])

    assert (answer.status_code, answer.json()["code"]) == (422, "HASH_MISMATCH")
    assert (await api.send("HEAD", PATH)).headers["upload-offset"] == "0"


async def test_a_known_file_is_answered_without_reading_the_body(api: Api) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    await upload(api)
    answer = await api.client.put(PATH, content=never())

    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


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


async def test_a_worker_sends_only_what_has_not_arrived(api: Api) -> None:
    content = b"once upon a time"
    sha256 = hashlib.sha256(content).hexdigest()
    worker = HttpServer("http://localhost", transport=httpx2.ASGITransport(app=api.app))
    path = f"/api/v1/artifacts/{sha256}"
    headers = {"Upload-Offset": "0", "Upload-Complete": "?0"}
    await api.client.patch(path, content=content[:5], headers=headers)
    begun: list[int] = []

    async def rest(arrived: int) -> AsyncIterator[bytes]:
        begun.append(arrived)
        yield content[arrived:]

    await worker.put_artifact(sha256, len(content), "text/plain", rest)

    stored = await api.client.get(path)
    assert begun == [5]
    assert stored.content == content
    assert stored.headers["content-type"].startswith("text/plain")
    await worker.close()

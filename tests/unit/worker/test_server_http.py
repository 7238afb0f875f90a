from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from gyoza.wire import messages
from gyoza.wire.messages import Claim, Claimed, Problem
from gyoza.worker.server_http import HttpServer
from gyoza.worker.server_port import (
    ArtifactMissing,
    ServerAway,
    ServerRefused,
    SessionSuperseded,
    WorkerUnknown,
)

pytestmark = pytest.mark.anyio

CLAIM = Claim(session_id="s", claim_id="c", wait_s=0)


def a_server(handle: Callable[[httpx2.Request], httpx2.Response]) -> HttpServer:
    return HttpServer("http://server", "the-key", transport=httpx2.MockTransport(handle))


def problem(status: int, code: str) -> httpx2.Response:
    body = Problem(type="about:blank", title="no", status=status, detail="why", code=code)
    return httpx2.Response(status, content=messages.encode(body))


async def test_a_call_is_a_request_with_the_workers_key() -> None:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=messages.encode(Claimed()))

    answer = await a_server(handle).claim("wrk_1", CLAIM)

    assert answer == Claimed()
    assert str(seen[0].url) == "http://server/api/v1/workers/wrk_1/claims"
    assert seen[0].headers["X-API-Key"] == "the-key"
    assert messages.decode(seen[0].content, Claim) == CLAIM


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (409, "SESSION_SUPERSEDED", SessionSuperseded),
        (404, "WORKER_NOT_FOUND", WorkerUnknown),
        (413, "BODY_TOO_LARGE", ServerRefused),
        (503, "STORE_UNAVAILABLE", ServerAway),
        (500, "INTERNAL", ServerAway),
        (429, "", ServerAway),
    ],
)
async def test_each_refusal_is_told_apart(status: int, code: str, fault: type[Exception]) -> None:
    with pytest.raises(fault, match="why") as raised:
        await a_server(lambda _: problem(status, code)).claim("wrk_1", CLAIM)

    assert type(raised.value) is fault


async def test_a_server_that_does_not_answer_is_away() -> None:
    def handle(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(ServerAway, match="http://server"):
        await a_server(handle).claim("wrk_1", CLAIM)


async def test_somebody_elses_server_is_not_taken_for_ours() -> None:
    with pytest.raises(ServerAway, match="GYOZA_SERVER_URL"):
        await a_server(lambda _: httpx2.Response(200, content=b"<html>")).claim("wrk_1", CLAIM)


async def test_a_file_that_the_server_has_is_not_sent_again() -> None:
    methods: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        methods.append(request.method)
        return httpx2.Response(200 if request.url.path.endswith("known") else 404)

    async def content(arrived: int) -> AsyncIterator[bytes]:
        assert arrived == 0
        yield b"x"

    server = a_server(lambda request: handle(request) if request.method == "HEAD" else put(request))

    def put(request: httpx2.Request) -> httpx2.Response:
        methods.append(request.method)
        return httpx2.Response(201)

    await server.put_artifact("known", 1, "text/plain", content)
    await server.put_artifact("new", 1, "text/plain", content)

    assert methods == ["HEAD", "HEAD", "PUT"]


async def test_a_file_that_the_server_lacks_is_missing() -> None:
    server = a_server(lambda _: problem(404, "ARTIFACT_NOT_FOUND"))

    with pytest.raises(ArtifactMissing):
        async with server.get_artifact("0" * 64):
            pass


async def test_a_message_that_is_no_json_is_refused_and_breaks_nothing() -> None:
    hostile = Claim(session_id="\udcff", claim_id="c", wait_s=0)

    with pytest.raises(ServerRefused, match="no server takes this message"):
        await a_server(lambda _: httpx2.Response(200)).claim("wrk_1", hostile)


async def test_files_on_their_way_do_not_make_a_heartbeat_wait() -> None:
    connected: list[asyncio.StreamWriter] = []
    stuck: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/artifacts/" in asked:
            stuck.append(writer)
            return
        body = messages.encode(Claimed())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    server = HttpServer(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    files = [asyncio.create_task(_fetch(server)) for _ in range(100)]
    while len(stuck) < 100:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    answered = await asyncio.wait_for(server.claim("wrk_1", CLAIM), 5)

    assert answered == Claimed()
    for each in files:
        each.cancel()
    await asyncio.gather(*files, return_exceptions=True)
    await server.close()
    for writer in connected:
        writer.close()
    await asyncio.gather(*(each.wait_closed() for each in connected), return_exceptions=True)
    listener.close()


async def _fetch(server: HttpServer) -> None:
    async with server.get_artifact("0" * 64):
        pass


@pytest.mark.parametrize("knows_ranges", [True, False])
async def test_a_file_is_read_on_from_where_it_broke_off(*, knows_ranges: bool) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["range"] == "bytes=4-"
        return httpx2.Response(206, content=b"upon") if knows_ranges else whole

    whole = httpx2.Response(200, content=b"onceupon")
    async with a_server(handle).get_artifact("0" * 64, start=4) as pieces:
        content = b"".join([piece async for piece in pieces])

    assert content == b"upon"


async def test_nothing_comes_from_beyond_the_end_of_a_file() -> None:
    server = a_server(lambda _: httpx2.Response(416, content=b"no"))

    async with server.get_artifact("0" * 64, start=4) as pieces:
        assert [piece async for piece in pieces] == []


async def test_an_upload_goes_on_after_what_has_arrived_of_it() -> None:
    sent: list[httpx2.Request] = []

    async def handle(request: httpx2.Request) -> httpx2.Response:
        if request.method == "HEAD":
            return httpx2.Response(404, headers={"Upload-Offset": "4"})
        await request.aread()
        sent.append(request)
        return httpx2.Response(201)

    async def content(arrived: int) -> AsyncIterator[bytes]:
        yield b"onceupon"[arrived:]

    server = HttpServer("http://server", transport=httpx2.MockTransport(handle))
    await server.put_artifact("0" * 64, 8, "text/plain", content)

    (patch,) = sent
    assert (patch.method, patch.content) == ("PATCH", b"upon")
    assert patch.headers["Upload-Offset"] == "4"
    assert patch.headers["Upload-Media-Type"] == "text/plain"
    assert patch.headers["Content-Length"] == "4"


@pytest.mark.parametrize("code", ["UPLOAD_OFFSET", "UPLOAD_BUSY", "HASH_MISMATCH"])
async def test_an_upload_that_cannot_go_on_is_asked_about_anew(code: str) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.method == "HEAD":
            return httpx2.Response(404, headers={"Upload-Offset": "4"})
        return problem(422 if code == "HASH_MISMATCH" else 409, code)

    async def content(arrived: int) -> AsyncIterator[bytes]:
        yield b"onceupon"[arrived:]

    with pytest.raises(ServerAway, match=f"from byte 4: {code}"):
        await a_server(handle).put_artifact("0" * 64, 8, "text/plain", content)


async def test_a_whole_upload_of_other_bytes_is_refused() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(404) if request.method == "HEAD" else problem(422, "HASH_MISMATCH")

    async def content(arrived: int) -> AsyncIterator[bytes]:
        yield b"onceupon"[arrived:]

    with pytest.raises(ServerRefused, match="HASH_MISMATCH"):
        await a_server(handle).put_artifact("0" * 64, 8, "text/plain", content)

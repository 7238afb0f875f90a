"""Both drivers carry the same flows out, over a mock transport and over sockets."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest

from gyoza.client import AsyncGyozaClient, ClientSettings, GyozaClient, WaitTimeout
from gyoza.client.errors import ConnectFailed, ConnectionLost, FetchFailed, NotFound
from gyoza.client.settings import Backoff
from gyoza.wire import strict_json
from tests.support.run_documents import RUN_ID, a_completed_run, a_running_run
from tests.support.stack import free_port

CONTENT = b"x" * 700_000
HASH = hashlib.sha256(CONTENT).hexdigest()
QUICK = Backoff(retries=1, first_s=0.01, cap_s=0.02, patience_s=0.2)


def settings(url: str = "http://box:1") -> ClientSettings:
    return ClientSettings(url, timeout_s=5.0, backoff=QUICK)


class Shelf:
    """Stores artifacts; may hand out damaged ones."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.damaged = False
        self.methods: list[str] = []

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        sha256 = request.url.path.rpartition("/")[2]
        self.methods.append(request.method)
        if request.method == "PUT":
            self.stored[sha256] = request.content
            assert request.headers["content-length"] == str(len(request.content))
            facts = {"sha256": sha256, "size_bytes": len(request.content), "media_type": "x"}
            return httpx2.Response(201, json=facts)
        if sha256 not in self.stored:
            return httpx2.Response(404)
        return httpx2.Response(200, content=self.stored[sha256][int(self.damaged) :])


def test_a_file_goes_there_and_comes_back(tmp_path: Path) -> None:
    shelf = Shelf()
    (tmp_path / "in").write_bytes(CONTENT)

    with GyozaClient(settings=settings(), transport=shelf.transport()) as client:
        stored = client.put_artifact(tmp_path / "in")
        client.put_artifact(tmp_path / "in")
        client.get_artifact(stored.sha256, tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == CONTENT
    assert shelf.methods == ["HEAD", "PUT", "HEAD", "GET"]


@pytest.mark.anyio
async def test_a_file_goes_there_and_comes_back_in_a_task(tmp_path: Path) -> None:
    shelf = Shelf()
    (tmp_path / "in").write_bytes(CONTENT)

    async with AsyncGyozaClient(settings=settings(), transport=shelf.transport()) as client:
        stored = await client.put_artifact(tmp_path / "in")
        await client.put_artifact(tmp_path / "in")
        await client.get_artifact(stored.sha256, tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == CONTENT
    assert shelf.methods == ["HEAD", "PUT", "HEAD", "GET"]


def test_a_damaged_download_is_tried_again_and_never_leaves_a_file(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.stored[HASH], shelf.damaged = CONTENT, True

    with GyozaClient(settings=settings(), transport=shelf.transport()) as client:
        with pytest.raises(ConnectionLost):
            client.get_artifact(HASH, tmp_path / "out")
        with pytest.raises(NotFound):
            client.get_artifact("0" * 64, tmp_path / "out")

    assert shelf.methods == ["GET", "GET", "GET"]
    assert list(tmp_path.iterdir()) == []


def test_nobody_at_the_address_is_said_with_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with GyozaClient(settings=settings(url)) as client, pytest.raises(ConnectFailed, match=url):
        client.get_run(RUN_ID)


class _Flaky(BaseHTTPRequestHandler):
    """Serves a run and its events; the first stream breaks in the middle, silence is kept after."""

    protocol_version = "HTTP/1.1"
    streams: list[str | None]
    quiet: threading.Event

    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            self._stream()
            return
        run = a_running_run() if len(self.streams) < 2 else a_completed_run()
        self._send("application/json", strict_json.dumps(run.to_dict()))

    def _stream(self) -> None:
        self.streams.append(self.headers["Last-Event-ID"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.quiet.is_set():
            threading.Event().wait(0.6)
            return
        event = b'event: INFO\nid: 3\ndata: {"number":3,"attempt":1,"t":"","type":"INFO","msg":""}'
        self.wfile.write(event + b"\n\n")
        if len(self.streams) > 1:
            self.wfile.write(b"event: end\ndata: {}\n\n")

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests are quiet."""


@contextmanager
def a_flaky_server(*, quiet: bool = False) -> Iterator[tuple[str, list[str | None]]]:
    streams: list[str | None] = []
    silence = threading.Event()
    if quiet:
        silence.set()
    handler = type("Handler", (_Flaky,), {"streams": streams, "quiet": silence})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", streams
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_wait_outlives_a_broken_stream_and_resumes_it() -> None:
    with a_flaky_server() as (url, streams), GyozaClient(settings=settings(url)) as client:
        run = client.wait_run(RUN_ID, timeout=10)

    assert run.state.value == "COMPLETED"
    assert streams == [None, "3"]


@pytest.mark.anyio
async def test_a_wait_in_a_task_outlives_a_broken_stream_and_resumes_it() -> None:
    with a_flaky_server() as (url, streams):
        async with AsyncGyozaClient(settings=settings(url)) as client:
            run = await client.wait_run(RUN_ID, timeout=10)

    assert run.state.value == "COMPLETED"
    assert streams == [None, "3"]


def test_a_silent_stream_does_not_keep_a_wait_past_its_deadline() -> None:
    with (
        a_flaky_server(quiet=True) as (url, _),
        GyozaClient(settings=settings(url)) as client,
        pytest.raises(WaitTimeout),
    ):
        client.wait_run(RUN_ID, timeout=0.2)


def test_leaving_an_iterator_early_closes_its_stream() -> None:
    with a_flaky_server() as (url, streams), GyozaClient(settings=settings(url)) as client:
        first = next(iter(client.run_events(RUN_ID, follow=True)))

    assert first.number == 3
    assert len(streams) == 1


class _Wavering(BaseHTTPRequestHandler):
    """Sends and takes files, but breaks every connection after 200,000 bytes."""

    protocol_version = "HTTP/1.1"
    limit = 200_000
    arrived: bytearray
    asked: list[str]

    def do_HEAD(self) -> None:
        done = len(self.arrived) == len(CONTENT)
        self.send_response(200 if done else 404)
        self.send_header("Upload-Offset", str(len(self.arrived)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self._take(0)

    def do_PATCH(self) -> None:
        self._take(int(self.headers["Upload-Offset"]))

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append(f"GET {start}")
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.limit])
        self.close_connection = True

    def _take(self, offset: int) -> None:
        self.asked.append(f"{self.command} {offset}")
        assert offset == len(self.arrived)
        length = int(self.headers["Content-Length"])
        self.arrived += self.rfile.read(min(length, self.limit))
        self.close_connection = True
        if length > self.limit:
            return
        facts = {"sha256": HASH, "size_bytes": len(self.arrived), "media_type": "x"}
        body = strict_json.dumps(facts)
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests are quiet."""


@contextmanager
def a_wavering_server() -> Iterator[tuple[str, type[_Wavering]]]:
    handler = type("Handler", (_Wavering,), {"arrived": bytearray(), "asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PATIENT = Backoff(retries=5, first_s=0.01, cap_s=0.02)
OFFSETS = [0, 200_000, 400_000, 600_000]


def test_uploads_and_downloads_go_on_where_their_connections_broke(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(CONTENT)

    with (
        a_wavering_server() as (url, server),
        GyozaClient(settings=ClientSettings(url, backoff=PATIENT)) as client,
    ):
        stored = client.upload(tmp_path / "in")
        saved = stored.save(tmp_path)

    assert server.arrived == CONTENT
    assert (saved.name, saved.read_bytes()) == ("in", CONTENT)
    methods = ["PUT", "PATCH", "PATCH", "PATCH"]
    sent = [f"{method} {offset}" for method, offset in zip(methods, OFFSETS, strict=True)]
    assert server.asked == [*sent, *(f"GET {offset}" for offset in OFFSETS)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@pytest.mark.anyio
async def test_uploads_and_downloads_go_on_in_a_task_too(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(CONTENT)

    with a_wavering_server() as (url, server):
        async with AsyncGyozaClient(settings=ClientSettings(url, backoff=PATIENT)) as client:
            stored = await client.upload(tmp_path / "in")
            saved = await stored.save(tmp_path / "out")
            opened = await stored.open()
            with opened:
                read = opened.read()

    assert server.arrived == CONTENT
    assert saved.read_bytes() == CONTENT
    assert read == CONTENT
    assert server.asked[4:8] == [f"GET {offset}" for offset in OFFSETS]


class _Page(BaseHTTPRequestHandler):
    """A stranger's host."""

    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/a.png" else 404)
        self.send_header("Content-Type", "image/png; x=y")
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests are quiet."""


def test_a_url_is_fetched_here_without_the_servers_key() -> None:
    shelf = Shelf()
    handler = type("Handler", (_Page,), {"seen": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with_key = ClientSettings("http://box:1", api_key="secret", backoff=QUICK)

    with GyozaClient(settings=with_key, transport=shelf.transport()) as client:
        stored = client.upload(f"{url}/moved")
        with pytest.raises(FetchFailed, match="404"):
            client.upload(f"{url}/missing")
    server.shutdown()
    thread.join()
    server.server_close()

    assert shelf.stored[HASH] == CONTENT
    assert (stored.name, stored.media_type, stored.size_bytes) == ("moved", "image/png", 700_000)
    assert all("secret" not in str(headers) for headers in handler.seen)


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    shelf = Shelf()
    (tmp_path / "in").write_bytes(b"skipped" + CONTENT)

    with (
        GyozaClient(settings=settings(), transport=shelf.transport()) as client,
        (tmp_path / "in").open("rb") as file,
    ):
        file.seek(7)
        stored = client.upload(file)

    assert (stored.sha256, stored.name) == (HASH, "in")
    assert shelf.stored[HASH] == CONTENT

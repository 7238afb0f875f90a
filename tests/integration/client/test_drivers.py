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
from gyoza.client.errors import ConnectFailed, ConnectionLost, NotFound
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

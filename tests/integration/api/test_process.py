"""The server as a process: it starts, says why it cannot, and stops in seconds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

START = "from gyoza.server import start; start()"
WORKER = "wrk_01hx3k00000000000000000000"


class Server:
    """A server process that logs JSON lines to a file."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.log_path = folder / f"log-{time.monotonic_ns()}"
        around = os.environ  # noqa: TID251 - a process of its own inherits the real environment
        inherited = {key: text for key, text in around.items() if not key.startswith("GYOZA_")}
        chosen = {"GYOZA_PORT": "0", "GYOZA_DATA_DIR": str(folder / "data")}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START],
                env={**inherited, **chosen, **environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_until_ready(self) -> str:
        """The URL, once the server has said that it is ready."""
        for _ in range(600):
            for line in self.log.splitlines():
                if '"ready"' in line and line.endswith("}"):
                    return json.loads(line)["url"]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)  # noqa: TID251 - another process's log announces nothing
        raise AssertionError(f"not ready: {self.log}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@contextlib.contextmanager
def a_server(folder: Path, **environment: str) -> Iterator[Server]:
    server = Server(folder, **environment)
    try:
        yield server
    finally:
        server.end()


@contextlib.contextmanager
def open_request(url: str, head: str, body: bytes = b"") -> Iterator[socket.socket]:
    """A request whose answer nobody waits for."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        lines = f"{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(lines.encode() + b"Accept: text/event-stream\r\n\r\n" + body)
        yield connection


def registration() -> dict[str, Any]:
    names = ("name", "session_id", "machine_id", "boot_id", "version")
    capacity = {"cpu": 1, "ram_mb": 100, "gpus": []}
    return {"worker_id": WORKER, "capacity": capacity, **dict.fromkeys(names, "x")}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_server_within_five_seconds_with_streams_open(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with a_server(tmp_path) as server:
        url = server.wait_until_ready()
        run = httpx2.post(f"{url}/api/v1/runs", json={"image": "i"}).json()
        httpx2.post(f"{url}/api/v1/workers", json={**registration(), "tags": {}})
        claim = json.dumps({"session_id": "x", "claim_id": "c"}).encode()
        with (
            open_request(url, f"GET /api/v1/runs/{run['id']}/events") as events,
            open_request(url, f"GET /api/v1/runs/{run['id']}/logs"),
            open_request(url, f"POST /api/v1/workers/{WORKER}/claims", claim),
        ):
            assert b"200 OK" in events.recv(4096)

            began = time.monotonic()
            server.process.send_signal(number)
            ended = server.process.wait(10)
            took_s = time.monotonic() - began

    assert ended == status
    assert took_s < 5
    assert "Traceback" not in server.log


def test_a_client_that_never_reads_does_not_hold_the_server_up(tmp_path: Path) -> None:
    with a_server(tmp_path) as server:
        url = server.wait_until_ready()
        content = os.urandom(8 * 1024 * 1024)  # more than the sockets' buffers hold
        path = f"/api/v1/artifacts/{hashlib.sha256(content).hexdigest()}"
        httpx2.put(url + path, content=content)
        with open_request(url, f"GET {path}") as stuck:
            assert stuck.recv(10)
            server.process.send_signal(signal.SIGTERM)

            assert server.process.wait(10) == 0


def test_a_body_over_the_limit_is_answered_though_it_was_not_read(tmp_path: Path) -> None:
    with a_server(tmp_path, GYOZA_MAX_BODY_BYTES="1000") as server:
        url = server.wait_until_ready()

        answer = httpx2.post(f"{url}/api/v1/runs", content=b" " * 3_000_000)

    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_second_server_on_the_same_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with a_server(tmp_path) as first:
        first.wait_until_ready()
        with a_server(tmp_path) as second:
            assert second.process.wait(30) == 1

    (line,) = second.log.splitlines()
    assert line.startswith("gyoza: ")
    assert str(first.process.pid) in line


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with a_server(tmp_path, GYOZA_PORT=port) as server:
            assert server.process.wait(30) == 1

    (line,) = server.log.splitlines()
    assert f"port {port} is in use" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"GYOZA_HOST": "0.0.0.0"}, "GYOZA_API_KEY"),
        ({"GYOZA_API_KEY": "k", "GYOZA_WORKER_KEY": "k"}, "are the same"),
        ({"GYOZA_WORKERS": "2"}, "SQLite"),
        ({"GYOZA_PORT": "many"}, "port"),
        ({"GYOZA_LOG_LEVEL": "loud"}, "no log level"),
        ({"GYOZA_DATA_DIR": "/proc/gyoza"}, "/proc/gyoza"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    with a_server(tmp_path, **environment) as server:
        assert server.process.wait(30) == 1

    (line,) = server.log.splitlines()
    assert line.startswith("gyoza: ")
    assert told in line


def test_a_key_is_never_in_the_log(tmp_path: Path) -> None:
    keys = {"GYOZA_API_KEY": "canary-caller", "GYOZA_WORKER_KEY": "canary-worker"}
    with a_server(tmp_path, GYOZA_LOG_LEVEL="debug", **keys) as server:
        url = server.wait_until_ready()
        for key in ("canary-caller", "canary-wrong"):
            httpx2.get(f"{url}/api/v1/runs", headers={"X-API-Key": key})

    assert "/api/v1/runs" in server.log
    assert "canary" not in server.log


@pytest.mark.parametrize("dies", ["sender", "server"])
def test_an_upload_cut_in_the_middle_goes_on_where_it_was(tmp_path: Path, dies: str) -> None:
    content = os.urandom(6 * 1024 * 1024)
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"/api/v1/artifacts/{sha256}"
    with a_server(tmp_path) as server:
        url = server.wait_until_ready()
        with half_sent(url, path, content):
            while arrived_at(url + path) < len(content) // 2:
                time.sleep(0.01)  # noqa: TID251 - nothing announces what arrived
            if dies == "server":
                server.process.kill()
                server.process.wait(10)
    with a_server(tmp_path) as server:
        url = server.wait_until_ready()
        offset = arrived_at(url + path)
        answer = httpx2.patch(
            url + path, content=content[offset:], headers={"Upload-Offset": str(offset)}
        )
        fetched = httpx2.get(url + path).content

    assert offset == len(content) // 2
    assert answer.status_code == 201
    assert hashlib.sha256(fetched).hexdigest() == sha256


@contextlib.contextmanager
def half_sent(url: str, path: str, content: bytes) -> Iterator[None]:
    """A PUT whose sender stops in the middle of the body and then goes away."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content[: len(content) // 2])
        yield


def arrived_at(address: str) -> int:
    return int(httpx2.head(address).headers["upload-offset"])

"""The real Docker Engine, for tests: is it there, and the one small image everything runs on."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

SOCKET: Final = "/var/run/docker.sock"
BUSYBOX: Final = "gyoza-test/busybox:2"
API: Final = "/v1.41"
_APPLETS: Final = (
    *("sh", "sleep", "cat", "dd", "yes", "head", "tr", "tail", "mkfifo", "ln", "mv", "id"),
    "true",
)


class Engine:
    """The Engine API over its socket, raw: what the tests and measurements compare gyoza with."""

    def __init__(self, path: str = SOCKET) -> None:
        self._connection = _UnixConnection(path)

    def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None
    ) -> tuple[int, Any]:
        """One request; the answer is parsed when it is JSON."""
        data = raw if raw is not None else (json.dumps(body).encode() if body is not None else None)
        kind = "application/x-tar" if raw is not None else "application/json"
        headers = {"Content-Type": kind} if data is not None else {}
        self._connection.request(method, f"{API}{path}", body=data, headers=headers)
        answer = self._connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def managed(self) -> list[dict[str, Any]]:
        """Every container, running or not, that carries gyoza's label."""
        filters = "%7B%22label%22%3A%5B%22org.gyoza.managed%22%5D%7D"
        return self.call("GET", f"/containers/json?all=1&filters={filters}")[1]

    def close(self) -> None:
        self._connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def require_engine() -> Engine:
    """The engine, or: fail in CI, skip loudly elsewhere."""
    engine = Engine()
    try:
        engine.call("GET", "/version")
    except OSError as error:
        message = f"Docker is needed and does not answer at {SOCKET}: {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return engine


def busybox_image(engine: Engine) -> str:
    """Make the test image once per engine: nothing but a static busybox and its links."""
    status, _ = engine.call("GET", f"/images/{BUSYBOX}/json")
    if status != 200:
        name, tag = BUSYBOX.split(":")
        status, answer = engine.call(
            "POST", f"/images/create?fromSrc=-&repo={name}&tag={tag}", raw=_busybox_tar()
        )
        assert status == 200, answer
    return BUSYBOX


def _busybox_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(_static_busybox(), "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(link)
        for folder in ("tmp", "gyoza", "gyoza/in", "gyoza/out", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    return buffer.getvalue()


def _static_busybox() -> str:
    path = Path("/bin/busybox")
    if not path.exists():
        pytest.fail("busybox is needed for test images: apt-get install busybox-static")
    return str(path)

"""The doctor on a machine where something really is wrong."""

from __future__ import annotations

import io
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gyoza import __version__
from gyoza.cli.app import main
from gyoza.cli.context import Context, Streams
from tests.support.engine import SOCKET, require_engine
from tests.support.stack import free_port

Pages = Mapping[str, tuple[int, dict[str, Any]]]
WELL = {"status": "ok", "version": __version__}
READY = {"status": "ready", "checks": {"store": "ok"}, "notes": []}
WORKER = {"name": "atlas", "state": "READY", "version": __version__}
PAGES: Pages = {
    "/healthz": (200, WELL),
    "/readyz": (200, READY),
    "/api/v1/workers": (200, {"items": [WORKER]}),
}


def handler(pages: Pages, date: str | None = None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = pages.get(self.path, (404, {}))
            body = json.dumps(document).encode()
            self.send_response_only(status)
            self.send_header("Date", date or self.date_time_string())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing: a Unix socket has no client address to tell of."""

    return Handler


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def a_server(pages: Pages = PAGES, *, date: str | None = None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(pages, date))
    with served(server):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def an_engine(folder: Path, version: dict[str, Any], info: dict[str, Any]) -> Iterator[str]:
    path = folder / "engine.sock"
    pages = {"/version": (200, version), "/info": (200, info)}
    with served(socketserver.ThreadingUnixStreamServer(str(path), handler(pages))):
        yield f"unix://{path}"


class Report:
    """What the doctor said."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.findings = {
            f"{each['group']} {each['name']}": each for each in json.loads(text)["findings"]
        }

    def __getitem__(self, name: str) -> tuple[str, str]:
        return self.findings[name]["status"], self.findings[name]["seen"]


def doctor(folder: Path, **environment: str) -> Report:
    out = io.StringIO()
    known = {
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "data"),
        "GYOZA_DOCKER_HOST": f"unix://{folder}/absent.sock",
        "PATH": str(folder),
        **environment,
    }
    context = Context(streams=Streams(io.StringIO(), out, io.StringIO()), environment=known)
    code = main(["doctor", "--json"], context)
    report = Report(int(code), out.getvalue())
    unhelped = [
        name
        for name, finding in report.findings.items()
        if finding["status"] in {"warn", "fail"} and not finding["remedy"]
    ]
    assert unhelped == []
    return report


def test_a_server_that_is_down_fails_and_the_rest_is_looked_at_all_the_same(
    tmp_path: Path,
) -> None:
    report = doctor(tmp_path, GYOZA_SERVER_URL=f"http://127.0.0.1:{free_port()}")

    status, seen = report["server reachable"]
    assert (report.code, status) == (1, "fail")
    assert "connection refused" in seen
    assert report["disk data"][0] == "ok"


def test_another_program_at_the_servers_address_is_told_from_a_server(tmp_path: Path) -> None:
    with a_server({"/healthz": (200, {"hello": "world"})}) as url:
        report = doctor(tmp_path, GYOZA_SERVER_URL=url)

    assert report["server reachable"][0] == "fail"
    assert "not as a gyoza server does" in report["server reachable"][1]


def test_a_server_that_accepts_and_never_answers_is_waited_for_briefly(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        report = doctor(tmp_path, GYOZA_SERVER_URL=f"http://127.0.0.1:{port}")

    assert "no answer within 5 s" in report["server reachable"][1]


def test_a_healthy_server_has_only_good_lines(tmp_path: Path) -> None:
    with a_server() as url:
        report = doctor(tmp_path, GYOZA_SERVER_URL=url)

    names = [name for name in report.findings if name.startswith("server")]
    assert {report[name][0] for name in names} == {"ok"}
    assert "server worker atlas" in names


@pytest.mark.parametrize(
    ("page", "answer", "name", "status", "words"),
    [
        ("/healthz", (200, {"version": "9.9.9"}), "version", "warn", "the server is 9.9.9"),
        ("/readyz", (503, {"checks": {"store": "gone"}}), "ready", "fail", "store: gone"),
        ("/api/v1/workers", (401, {"detail": "no key"}), "key", "fail", "no key"),
        ("/api/v1/workers", (200, {"items": []}), "workers", "warn", "there are none"),
    ],
)
def test_what_is_wrong_with_a_server_that_answers_is_told(
    page: str,
    answer: tuple[int, dict[str, Any]],
    name: str,
    status: str,
    words: str,
    tmp_path: Path,
) -> None:
    with a_server({**PAGES, page: answer}) as url:
        report = doctor(tmp_path, GYOZA_SERVER_URL=url)

    assert report[f"server {name}"][0] == status
    assert words in report[f"server {name}"][1]


def test_a_clock_of_another_day_is_told(tmp_path: Path) -> None:
    with a_server(date="Wed, 01 Jan 2025 00:00:00 GMT") as url:
        report = doctor(tmp_path, GYOZA_SERVER_URL=url)

    assert report["server clock"][0] == "warn"
    assert "behind" in report["server clock"][1]


def test_an_address_that_is_none_fails(tmp_path: Path) -> None:
    report = doctor(tmp_path, GYOZA_SERVER_URL="gopher://x")

    assert report["client address"][0] == "fail"
    assert report["server reachable"][0] == "skipped"


def test_an_endpoint_file_of_a_process_that_is_gone_is_told(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    file = tmp_path / "state" / "gyoza" / "endpoint.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"url": "http://x", "pid": ended.pid, "data_dir": "/d"}))

    report = doctor(tmp_path)

    assert report["client gyoza dev"][0] == "warn"
    assert f"process {ended.pid}, which is gone" in report["client gyoza dev"][1]
    assert "(the default)" in report["client address"][1]


def test_an_absent_engine_fails_and_its_disk_is_skipped(tmp_path: Path) -> None:
    report = doctor(tmp_path)

    assert report["engine reachable"][0] == "fail"
    assert "no such file or directory" in report["engine reachable"][1]
    assert report["disk engine"][0] == "skipped"


def test_an_engine_too_old_to_talk_to_fails(tmp_path: Path) -> None:
    version = {"Version": "19.03.1", "ApiVersion": "1.40"}
    with an_engine(tmp_path, version, {"Driver": "vfs"}) as address:
        report = doctor(tmp_path, GYOZA_DOCKER_HOST=address)

    assert report["engine reachable"] == ("fail", f"19.03.1 (API 1.40) at {address}")
    assert report["engine storage"][0] == "warn"
    assert report["engine limits"][0] == "fail"


@pytest.mark.docker
def test_the_engine_of_this_machine_can_be_talked_to(tmp_path: Path) -> None:
    require_engine().close()

    report = doctor(tmp_path, GYOZA_DOCKER_HOST=f"unix://{SOCKET}")

    assert report["engine reachable"][0] == "ok"
    assert report["engine limits"][0] in {"ok", "warn"}
    assert report["disk engine"][0] in {"ok", "warn"}


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_a_driver_that_does_not_match_its_kernel_fails_in_its_own_words(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-smi", "echo 'Driver/library version mismatch'; exit 18")
    program(tmp_path, "nvidia-ctk", "echo 'NVIDIA Container Toolkit CLI version 1.17.0'")

    report = doctor(tmp_path)

    assert report["gpu driver"] == ("fail", "nvidia-smi: Driver/library version mismatch")
    assert report["gpu toolkit"][0] == "warn"
    assert report["gpu runtime"][0] == "skipped"


def test_a_gpu_without_the_container_toolkit_fails(tmp_path: Path) -> None:
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA L4, 23034 MiB, 570.1'")

    report = doctor(tmp_path)

    assert report["gpu driver"] == ("ok", "NVIDIA L4, 23034 MiB, 570.1")
    assert report["gpu toolkit"][0] == "fail"


def test_a_machine_without_a_gpu_says_so(tmp_path: Path) -> None:
    if any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has a GPU")

    assert doctor(tmp_path)["gpu driver"][0] == "skipped"


@contextmanager
def a_disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("only root can mount the disks of this test")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_room_fails(tmp_path: Path) -> None:
    with a_disk(tmp_path / "small", "size=1m") as small:
        report = doctor(tmp_path, GYOZA_DATA_DIR=str(small / "data"))

    assert report["disk data"][0] == "fail"
    assert "0.0 GB free" in report["disk data"][1]


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    with a_disk(tmp_path / "fixed", "ro") as fixed:
        report = doctor(tmp_path, GYOZA_WORKER_STATE_DIR=str(fixed))

    assert report["disk state"][0] == "fail"
    assert "cannot be written" in report["disk state"][1]


def test_it_stands_on_the_base_install_where_an_engine_is_no_must(tmp_path: Path) -> None:
    absent = (
        *("aiodocker", "aiohttp", "psutil", "structlog", "pydantic_settings"),
        *("fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "jsonschema", "watchfiles"),
    )
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        "from gyoza.cli.app import main\n"
        "sys.exit(main(['doctor', '--json']))"
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith("GYOZA_")}  # noqa: TID251
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**own, "GYOZA_DOCKER_HOST": "unix:///absent", "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    report = Report(done.returncode, done.stdout)
    assert done.stderr == ""
    assert report["client gyoza"][1] == f"{__version__}, with client"
    assert report["engine reachable"][0] == "warn"

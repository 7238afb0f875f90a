"""`gyoza dev` as people use it: real processes, a real engine, no container started."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gyoza.cli.supervision import QUICK_DEATHS
from gyoza.client import GyozaClient
from gyoza.wire.messages import WorkerView
from tests.stories.stage import GYOZA, own_environment
from tests.support.stack import free_port

pytestmark = [pytest.mark.docker, pytest.mark.system]


class Dev:
    """A running `gyoza dev --json`."""

    def __init__(self, folder: Path, port: int, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*GYOZA, "dev", "--json", "--data-dir", str(folder / "data"), "--port", str(port)],
            env={**own_environment(), "XDG_STATE_HOME": str(folder / "state"), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def announced(self) -> dict[str, str]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def children(self) -> dict[str, psutil.Process]:
        found = psutil.Process(self.process.pid).children()
        return {child.cmdline()[3]: child for child in found}

    def until(self, words: str) -> list[str]:
        """Read what it says to people up to the line with these words."""
        assert self.process.stderr is not None
        said: list[str] = []
        for line in self.process.stderr:
            said.append(line)
            if words in line:
                return said
        raise AssertionError("".join(said))

    def ready_again(self, client: GyozaClient, registered_at: str) -> WorkerView:
        """Wait for the only worker to have registered anew."""
        for _ in range(300):
            (worker,) = client.list_workers()
            if worker.state == "READY" and worker.registered_at != registered_at:
                return worker
            threading.Event().wait(0.1)
        raise AssertionError("the worker did not come back within 30 s")

    def end(self) -> tuple[int, str]:
        _, err = self.process.communicate(timeout=40)
        return self.process.returncode, err


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path, free_port())
    yield dev
    dev.process.kill()
    dev.process.communicate()


def test_it_serves_tells_where_and_ends_with_everything_it_started(dev: Dev) -> None:
    said = dev.announced()
    children = dev.children()
    endpoint = dev.folder / "state" / "gyoza" / "endpoint.json"
    assert json.loads(endpoint.read_text())["url"] == said["url"]
    with GyozaClient(said["url"]) as client:
        assert [worker.state for worker in client.list_workers()] == ["READY"]

    dev.process.send_signal(signal.SIGINT)

    assert dev.end()[0] == 0
    assert not endpoint.exists()
    assert [each for each in children.values() if each.is_running()] == []


def test_killed_outright_it_takes_its_children_along(dev: Dev) -> None:
    dev.announced()
    children = list(dev.children().values())

    dev.process.kill()

    _, alive = psutil.wait_procs(children, timeout=2)
    assert len(children) == 2
    assert alive == []


def test_a_server_that_dies_ends_it_with_the_servers_last_lines(dev: Dev) -> None:
    dev.announced()

    dev.children()["server"].kill()

    code, err = dev.end()
    assert code == 1
    assert "error: the server was ended by SIGKILL" in err
    assert '"event": "ready"' in err


def test_a_worker_that_is_killed_is_started_again_and_is_the_same_worker(dev: Dev) -> None:
    url = dev.announced()["url"]
    first = dev.children()["worker"]
    with GyozaClient(url) as client:
        (before,) = client.list_workers()

        first.kill()

        said = dev.until("the worker is started again")
        again = dev.children()["worker"]
        after = dev.ready_again(client, before.registered_at)
    dev.process.send_signal(signal.SIGINT)
    assert any("the worker was ended by SIGKILL; it is started again in " in line for line in said)
    assert again.pid != first.pid
    assert after.id == before.id
    assert dev.end()[0] == 0


def test_a_worker_that_dies_again_and_again_is_given_up_with_its_last_lines(dev: Dev) -> None:
    dev.announced()
    for _ in range(QUICK_DEATHS - 1):
        dev.children()["worker"].kill()
        dev.until("the worker is started again")

    dev.children()["worker"].kill()

    code, err = dev.end()
    assert code == 1
    assert "error: the worker was ended by SIGKILL, as it did 4 times before" in err
    assert "logs/worker.log" in err


def test_a_taken_port_is_passed_over_and_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        dev = Dev(tmp_path, port)
        url = dev.announced()["url"]
        dev.process.send_signal(signal.SIGTERM)
        _, err = dev.end()

    assert not url.endswith(f":{port}")
    assert f"port {port} is taken; using " in err


def test_without_an_engine_it_says_what_to_install(tmp_path: Path) -> None:
    dev = Dev(tmp_path, free_port(), GYOZA_DOCKER_HOST="unix:///absent")

    code, err = dev.end()

    assert code == 8
    assert "no container engine answers at unix:///absent" in err
    assert "install Docker Engine" in err

"""What Ctrl-C means to a command that follows a run; a real process, a scripted container."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza.client import GyozaClient
from tests.stories.stage import GYOZA, a_stage, own_environment


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with a_stage(tmp_path_factory.mktemp("stage")) as url:
        yield url


class Follower:
    """`gyoza run` of an image that never ends, up to its first line on standard error."""

    def __init__(self, url: str, home: Path) -> None:
        self.process = subprocess.Popen(
            [*GYOZA, "run", "--image", "patient:1"],
            env={**own_environment(), "GYOZA_SERVER_URL": url, "XDG_STATE_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.run_id = self.read_until(r"(run_\w+) RUNNING").group(1)

    def read_until(self, pattern: str) -> re.Match[str]:
        assert self.process.stderr is not None
        said = ""
        for line in self.process.stderr:
            said += line
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"{pattern!r} was not said, but:\n{said}")

    def press(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out


def test_the_first_press_detaches_and_tells_the_next_commands(url: str, tmp_path: Path) -> None:
    follower = Follower(url, tmp_path)

    follower.press()
    for words in ("goes on", "gyoza logs -f run_", "gyoza show run_", "gyoza cancel run_"):
        follower.read_until(words)

    assert follower.end() == (130, "")
    with GyozaClient(url) as client:
        assert client.get_run(follower.run_id).state.value == "RUNNING"
        client.cancel_run(follower.run_id)


def test_a_second_press_cancels_the_run(url: str, tmp_path: Path) -> None:
    follower = Follower(url, tmp_path)

    follower.press()
    follower.read_until("Ctrl-C again")
    follower.press()
    follower.read_until("was asked to stop")

    assert follower.end() == (130, "")
    with GyozaClient(url) as client:
        assert client.wait_run(follower.run_id, timeout=20).state.value == "CANCELLED"

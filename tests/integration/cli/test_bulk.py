"""`gyoza cancel` and `retry` of many runs, against a real server in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gyoza.client import GyozaClient, RunSelection
from tests.stories.stage import GYOZA, a_stage, own_environment

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with a_stage(tmp_path_factory.mktemp("bulk")) as url:
        yield url


@pytest.fixture
def gyoza(url: str, tmp_path: Path) -> Command:
    environment = {
        **own_environment(),
        "GYOZA_SERVER_URL": url,
        "XDG_STATE_HOME": str(tmp_path),
    }

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GYOZA, *words], env=environment, capture_output=True, text=True, check=False
        )

    return command


def submit(url: str, count: int, tag: str) -> list[str]:
    with GyozaClient(url) as client:
        runs = [client.run_image("silent:1", tags={"t": tag}, due_in_s=3600) for _ in range(count)]
    return [run.id for run in runs]


def test_runs_are_cancelled_and_retried_by_their_tag(url: str, gyoza: Command) -> None:
    ids = submit(url, 3, "one")

    looked = gyoza("cancel", "--tag", "t=one", "--dry-run")
    done = gyoza("cancel", "--tag", "t=one", "--yes", "--json")
    again = gyoza("retry", "--tag", "t=one", "--state", "cancelled", "-y")

    assert looked.stdout == "3 runs would be cancelled\n"
    assert json.loads(done.stdout) == {"matched": 3, "done": 3, "asked": 0}
    assert again.stdout == "retried 3 runs\n"
    with GyozaClient(url) as client:
        assert [client.get_run(each).current_attempt.attempt for each in ids] == [2, 2, 2]


def test_without_anybody_to_ask_nothing_is_changed(url: str, gyoza: Command) -> None:
    (run_id,) = submit(url, 1, "two")

    refused = gyoza("cancel", "--tag", "t=two")

    assert refused.returncode == 2
    assert "1 run would be cancelled, and there is nobody to ask" in refused.stderr
    assert "--yes" in refused.stderr
    with GyozaClient(url) as client:
        assert client.get_run(run_id).state.value == "PENDING"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cancel",), "name the runs to cancel, or what they have in common"),
        (("cancel", "--yes"), "name the runs to cancel, or what they have in common"),
        (("cancel", "run_x", "--op", "y"), "not both at once"),
        (("retry", "--state", "lost", "-y"), "lost is no state; expected one of"),
        (("retry", "--op", "y", "--follow"), "--follow follows one run"),
        (("cancel", "--older-than", "old"), "--older-than: got 'old', expected a duration"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(
    gyoza: Command, words: tuple[str, ...], told: str
) -> None:
    refused = gyoza(*words)

    assert refused.returncode == 2
    assert told in refused.stderr


def test_a_program_gets_the_sums_of_all_portions(url: str) -> None:
    with GyozaClient(url) as client:
        for _ in range(3):
            client.run_image("silent:1", tags={"t": "three"}, due_in_s=3600)

        summary = client.cancel_runs(RunSelection(tags={"t": "three"}), reason="enough")

    assert (summary.matched, summary.done, summary.asked) == (3, 3, 0)

"""`gyoza cancel` and `retry` of many runs, against a real server in a process of its own."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gyoza.client import BulkSummary, GyozaClient, RunSelection
from gyoza.server.use_cases.bulk import PORTION
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


def test_a_script_may_say_yes_to_runs_by_their_ids_too(url: str, gyoza: Command) -> None:
    (run_id,) = submit(url, 1, "yes")

    assert gyoza("cancel", run_id, "--yes").returncode == 0
    with GyozaClient(url) as client:
        assert client.get_run(run_id).state.value == "CANCELLED"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cancel",), "name the runs to cancel, or what they have in common"),
        (("cancel", "--yes"), "name the runs to cancel, or what they have in common"),
        (("cancel", "run_x", "--op", "y"), "not both at once"),
        (("cancel", "run_x", "--dry-run"), "not both at once"),
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
        document = {"image": "silent:1", "tags": {"t": "three"}, "due_in_s": 3600}
        client.submit_batch([document] * (2 * PORTION + 1))

        summary = client.cancel_runs(RunSelection(tags={"t": "three"}), reason="enough")

    assert summary == BulkSummary(matched=401, done=401, asked=0)


def test_workers_are_asked_to_stop_what_is_at_work(url: str, gyoza: Command) -> None:
    with GyozaClient(url) as client:
        handle = client.run_image("patient:1", tags={"t": "four"})
        while client.get_run(handle.id).state.value != "RUNNING":
            threading.Event().wait(0.05)

        cancelled = gyoza("cancel", "--tag", "t=four", "-y", "--json")
        ended = handle.wait()

    assert json.loads(cancelled.stdout) == {"matched": 1, "done": 0, "asked": 1}
    assert ended.state.value == "CANCELLED"

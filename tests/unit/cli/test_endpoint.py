from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gyoza.cli.endpoint import find_last_run, note_last_run, remove_endpoint, write_endpoint
from gyoza.client.dev_endpoint import Endpoint, find_endpoint


def an_endpoint(pid: int) -> Endpoint:
    return Endpoint("http://127.0.0.1:5556", pid, "/data")


def a_dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_running_dev_is_found_by_what_it_wrote(tmp_path: Path) -> None:
    write_endpoint(tmp_path, an_endpoint(os.getpid()))

    assert find_endpoint(tmp_path) == an_endpoint(os.getpid())
    assert stat.S_IMODE((tmp_path / "endpoint.json").stat().st_mode) == 0o600


def test_the_word_of_a_dead_process_counts_for_nothing(tmp_path: Path) -> None:
    write_endpoint(tmp_path, an_endpoint(a_dead_pid()))

    assert find_endpoint(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "pid": "a"}'])
def test_a_file_that_is_not_ours_counts_as_absent(tmp_path: Path, content: str) -> None:
    (tmp_path / "endpoint.json").write_text(content)

    assert find_endpoint(tmp_path) is None


def test_only_its_writer_takes_a_word_back(tmp_path: Path) -> None:
    write_endpoint(tmp_path, an_endpoint(os.getpid()))

    remove_endpoint(tmp_path, os.getpid() + 1)
    assert find_endpoint(tmp_path) is not None
    remove_endpoint(tmp_path, os.getpid())

    assert find_endpoint(tmp_path) is None


def test_the_last_run_is_remembered(tmp_path: Path) -> None:
    assert find_last_run(tmp_path) is None

    note_last_run(tmp_path / "deep", "run_1", "http://x")

    assert find_last_run(tmp_path / "deep") == "run_1"

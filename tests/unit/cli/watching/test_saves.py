"""Saves as the operating system tells of them: real files, really watched."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza.cli.context import Context
from gyoza.cli.watching.saves import saved_at_s, saves


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def now_s() -> float:
    return Context().now().timestamp()


def watched(path: Path, stop: threading.Event) -> Iterator[float | None]:
    rounds = saves(path, stop, now_s)
    assert next(rounds) is None
    return rounds


def test_a_save_in_place_and_one_by_renaming_are_one_save_each(
    tmp_path: Path, stop: threading.Event
) -> None:
    file = tmp_path / "hello.py"
    file.write_text("one")
    rounds = watched(tmp_path, stop)

    file.write_text("two")
    first = next(rounds)
    (tmp_path / ".hello.py.swp").write_text("three")
    (tmp_path / ".hello.py.swp").rename(file)
    second = next(rounds)

    assert first is not None
    assert second is not None
    assert first <= second <= now_s()


def test_a_removed_file_is_a_save(tmp_path: Path, stop: threading.Event) -> None:
    (tmp_path / "hello.py").write_text("one")
    rounds = watched(tmp_path, stop)

    (tmp_path / "hello.py").unlink()

    assert next(rounds) is not None


def test_what_enters_no_image_is_passed_over(tmp_path: Path, stop: threading.Event) -> None:
    (tmp_path / ".dockerignore").write_text("results\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "__pycache__").mkdir()
    rounds = watched(tmp_path, stop)

    (tmp_path / "results" / "one.csv").write_text("1")
    (tmp_path / "__pycache__" / "hello.cpython-311.pyc").write_text("1")
    (tmp_path / "hello.py~").write_text("1")
    # Seen with the others, were they seen at all: their times would be the newest.
    later_s = now_s() - 0.2
    (tmp_path / "hello.py").write_text("1")
    os.utime(tmp_path / "hello.py", (later_s, later_s))

    assert next(rounds) == pytest.approx(later_s)


def test_what_is_ignored_can_change_while_it_watches(tmp_path: Path, stop: threading.Event) -> None:
    rounds = watched(tmp_path, stop)

    (tmp_path / ".dockerignore").write_text("results\n")

    assert next(rounds) is not None


def test_beside_a_single_file_others_do_not_count(tmp_path: Path, stop: threading.Event) -> None:
    script = tmp_path / "stats.py"
    script.write_text("one")
    rounds = watched(script, stop)
    then_s = now_s() - 0.2

    (tmp_path / "other.py").write_text("1")
    (tmp_path / "stats.py.new").write_text("two")
    os.utime(tmp_path / "stats.py.new", (then_s, then_s))
    (tmp_path / "stats.py.new").rename(script)

    assert next(rounds) == pytest.approx(then_s)


def test_the_moment_of_a_save_is_the_newest_time_that_can_be_one(tmp_path: Path) -> None:
    times = {"old": 1_000.0, "new": 1_999.9, "tomorrow": 90_000.0}
    for name, time_s in times.items():
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time_s, time_s))

    found = saved_at_s([*tmp_path.iterdir(), tmp_path / "gone"], now_s=2_000.0)

    assert found == pytest.approx(1_999.9)
    assert saved_at_s([tmp_path / "gone"], now_s=2_000.0) == 2_000.0

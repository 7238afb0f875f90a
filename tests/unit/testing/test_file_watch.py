"""Whether files were read and how they appeared, as the kernel tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza.testing.conformance.event_checks import event_problems, regressions
from gyoza.testing.conformance.file_watch import FileWatch
from gyoza.testing.conformance.looking import own_changes
from gyoza.testing.engine import Change


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[FileWatch]:
    (tmp_path / "input.json").write_text("{}")
    (tmp_path / "out").mkdir()
    watching = FileWatch(tmp_path / "input.json", tmp_path / "out", "output.json")
    if not watching.is_working:
        pytest.skip("this machine has no inotify")
    yield watching
    watching.close()


def test_a_file_that_nobody_opened_was_not_read(watch: FileWatch) -> None:
    watch.collect()

    assert watch.was_read is False


def test_reading_shows(watch: FileWatch, tmp_path: Path) -> None:
    (tmp_path / "input.json").read_text()
    watch.collect()

    assert watch.was_read is True


def test_a_rename_is_told_from_writing_in_place(watch: FileWatch, tmp_path: Path) -> None:
    (tmp_path / "out" / "output.json").write_text("{}")
    watch.collect()
    assert watch.was_renamed is False

    (tmp_path / "out" / "part").write_text("{}")
    (tmp_path / "out" / "part").rename(tmp_path / "out" / "output.json")
    watch.collect()
    assert watch.was_renamed is True


def test_of_other_files_nothing_is_said(watch: FileWatch, tmp_path: Path) -> None:
    (tmp_path / "out" / "other.json").write_text("{}")
    watch.collect()

    assert watch.was_renamed is None


def test_mounts_and_folders_are_no_changes_of_the_op() -> None:
    paths = ["/etc", "/etc/hosts", "/gyoza/in", "/sbin/docker-init", "/var", "/var/x"]

    assert own_changes([Change(path, "added") for path in paths]) == [Change("/var/x", "added")]


def test_lines_that_are_no_events_are_named_by_their_numbers() -> None:
    lines = [b'{"type": "info", "msg": "on"}', b"half", b'{"type": "progress", "msg": 101}']

    problems = event_problems(lines)

    assert [problem.partition(":")[0] for problem in problems] == ["line 2", "line 3"]


def test_progress_that_goes_back_is_named() -> None:
    lines = [f'{{"type": "progress", "msg": {percent}}}'.encode() for percent in (10, 60, 30, 70)]

    assert regressions(lines) == ["line 3: from 60 to 30"]

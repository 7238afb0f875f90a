"""Copies of a project's files: as they were, once each, and gone when they are not needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gyoza.project.snapshots import Snapshots


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "parts").mkdir(parents=True)
    (folder / "hello.py").write_text("one\n")
    (folder / "parts" / "run.sh").write_text("two\n")
    (folder / "parts" / "run.sh").chmod(0o700)
    return folder


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    return Snapshots(folder)


def files_of(project: Path) -> dict[str, Path]:
    found = (path for path in project.rglob("*") if path.is_file())
    return {str(path.relative_to(project)): path for path in found}


def test_a_snapshot_stays_as_it_was_when_the_project_changes(
    project: Path, snapshots: Snapshots
) -> None:
    before = snapshots.take(files_of(project))
    (project / "hello.py").write_text("changed\n")
    after = snapshots.take(files_of(project))

    assert (before.folder / "hello.py").read_text() == "one\n"
    assert (after.folder / "hello.py").read_text() == "changed\n"
    assert before.digest != after.digest


def test_anybody_can_read_a_snapshot_and_programs_stay_programs(
    project: Path, snapshots: Snapshots
) -> None:
    mask = os.umask(0o077)
    try:
        folder = snapshots.take(files_of(project)).folder
    finally:
        os.umask(mask)

    modes = {str(p.relative_to(folder)): oct(p.stat().st_mode & 0o777) for p in folder.rglob("*")}
    assert modes == {"hello.py": "0o644", "parts": "0o755", "parts/run.sh": "0o755"}


def test_the_same_files_again_are_the_same_snapshot(project: Path, snapshots: Snapshots) -> None:
    first = snapshots.take(files_of(project))
    (project / "hello.py").write_text("one\n")

    assert snapshots.take(files_of(project)) == first


def test_a_removed_and_a_renamed_file_make_other_snapshots(
    project: Path, snapshots: Snapshots
) -> None:
    first = snapshots.take(files_of(project))
    (project / "hello.py").rename(project / "greet.py")
    renamed = snapshots.take(files_of(project))
    (project / "greet.py").unlink()
    removed = snapshots.take(files_of(project))

    assert len({first.digest, renamed.digest, removed.digest}) == 3
    assert sorted(path.name for path in removed.folder.rglob("*")) == ["parts", "run.sh"]


def test_what_is_not_kept_is_removed_with_contents_that_nobody_else_has(
    project: Path, snapshots: Snapshots
) -> None:
    old = snapshots.take(files_of(project))
    (project / "hello.py").write_text("changed\n")
    new = snapshots.take(files_of(project))

    snapshots.keep_only({new.folder})

    assert not old.folder.exists()
    assert (new.folder / "parts" / "run.sh").read_text() == "two\n"
    contents = sorted(path.read_text() for path in (snapshots.folder / "files").iterdir())
    assert contents == ["changed\n", "two\n"]


def test_content_that_was_removed_is_copied_again(project: Path, snapshots: Snapshots) -> None:
    snapshots.take(files_of(project))
    snapshots.keep_only(set())

    again = snapshots.take(files_of(project))

    assert (again.folder / "hello.py").read_text() == "one\n"

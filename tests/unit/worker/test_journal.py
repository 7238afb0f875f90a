from __future__ import annotations

import resource
from pathlib import Path

import pytest

from gyoza.wire.messages import Assignment
from gyoza.worker.cursors import Cursors, EventMark
from gyoza.worker.journal import Journal
from gyoza.worker.logs import LogMark
from gyoza.worker.runtime.interface import LogPosition, StreamPosition

REACHED = Cursors(
    4,
    7,
    EventMark(offset=99, inode=5, taken=3, dropped=1, noted=("too long",)),
    LogMark(LogPosition(StreamPosition(1, 2, ends_line=True)), (b"\xe2", b""), "stdout", 3, 4),
)


def an_assignment(run_id: str = "run_1") -> Assignment:
    return Assignment(
        run_id=run_id,
        attempt=1,
        fence=3,
        token="secret",
        image="op:1",
        inputs={"large": "x" * 1000},
        granted={},
        execution={},
    )


def reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    return Journal(folder)


def test_what_has_begun_and_not_ended_is_known_after_a_crash(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(an_assignment("run_1"))
    journal.begin(an_assignment("run_2"))
    journal.created("run_1", 3, {"id": "c1", "name": "gyoza-run_1"}, {"id": "sha256:1"})
    journal.reached("run_1", 3, REACHED)
    journal.stopping("run_1", 3, {"kind": "CANCEL", "message": "enough"})
    journal.engine("12@34")
    journal.end("run_2", 3)
    journal.sync()

    journal = reopened(reopened(journal, tmp_path), tmp_path)
    (found,) = journal.unfinished

    assert (found.assignment.run_id, found.assignment.token) == ("run_1", "secret")
    assert found.container == {"id": "c1", "name": "gyoza-run_1"}
    assert found.image == {"id": "sha256:1"}
    assert found.cursors[-1] == REACHED
    assert found.order == {"kind": "CANCEL", "message": "enough"}
    assert journal.engine_process == "12@34"


def test_a_last_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(an_assignment())
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"kind": "end", "run": "run_')

    assert len(reopened(journal, tmp_path).unfinished) == 1


def test_a_journal_holds_tokens_and_is_closed_to_others(tmp_path: Path) -> None:
    Journal(tmp_path).close()

    assert (tmp_path / "journal.jsonl").stat().st_mode & 0o077 == 0


def test_a_journal_forgets_what_has_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(100):
        journal.begin(an_assignment(f"run_{number}"))
        journal.end(f"run_{number}", 3)

    reopened(journal, tmp_path).close()

    assert b"run_" not in (tmp_path / "journal.jsonl").read_bytes()


def test_ends_and_cursors_of_what_never_began_are_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    journal.end("run_9", 1)
    journal.reached("run_9", 1, REACHED)
    journal.stopping("run_9", 1, {})

    assert reopened(journal, tmp_path).unfinished == []


def test_a_line_that_a_full_disk_cut_short_spoils_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(an_assignment("run_1"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (tmp_path / "journal.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            journal.begin(an_assignment("run_2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.begin(an_assignment("run_3"))

    found = reopened(journal, tmp_path).unfinished

    assert [each.assignment.run_id for each in found] == ["run_1", "run_3"]


def test_what_was_noted_often_is_kept_in_few_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(an_assignment())
    for number in range(100):
        journal.reached("run_1", 3, Cursors(number, number))

    (found,) = reopened(journal, tmp_path).unfinished

    assert found.cursors[-1] == Cursors(99, 99)
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) < 30


def test_an_attempt_remembers_that_the_engine_was_started_again_meanwhile(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.engine("first")
    journal.begin(an_assignment("run_old"))
    journal.engine("second")
    journal.begin(an_assignment("run_new"))

    once = reopened(journal, tmp_path)
    compacted = reopened(once, tmp_path)

    marks = {each.assignment.run_id: each.engine_broke for each in compacted.unfinished}
    assert marks == {"run_old": True, "run_new": False}


def test_the_first_engine_ever_noted_has_broken_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(an_assignment())

    journal.engine("first")

    assert [each.engine_broke for each in journal.unfinished] == [False]

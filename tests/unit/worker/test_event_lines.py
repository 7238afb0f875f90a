from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.worker.event_lines import EventsFile, LineReader

LIMIT = 20
MORE = 1 << 20
PIECES = st.lists(st.text(alphabet="ab \n", max_size=30).map(str.encode), max_size=20)


@given(PIECES)
def test_however_the_bytes_arrive_the_lines_are_the_same(pieces: list[bytes]) -> None:
    reader = LineReader(LIMIT)

    found = [line for piece in pieces for line in reader.feed(piece)] + reader.finish()

    whole = b"".join(pieces).split(b"\n")
    assert found == [line for line in whole if line.strip() and len(line) <= LIMIT]
    assert reader.skipped == sum(len(line) > LIMIT for line in whole)


def test_a_line_of_a_gigabyte_is_never_held() -> None:
    reader = LineReader(LIMIT)

    found = [line for _ in range(10_000) for line in reader.feed(b"x" * 1000)]
    found += reader.feed(b"\nshort\n")

    assert found == [b"short"]
    assert reader.skipped == 1


@pytest.fixture
def events(tmp_path: Path) -> EventsFile:
    return EventsFile(tmp_path)


def append(tmp_path: Path, data: bytes) -> None:
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(data)


def test_only_complete_lines_are_read_while_the_op_writes(
    tmp_path: Path, events: EventsFile
) -> None:
    before = events.read(MORE)
    append(tmp_path, b"one\ntw")
    first = events.read(MORE)
    append(tmp_path, b"o\nthree")
    second = events.read(MORE)
    last = events.finish(MORE)

    assert [read.lines for read in (before, first, second, last)] == [
        [],
        [b"one"],
        [b"two"],
        [b"three"],
    ]


def test_a_link_in_place_of_the_file_is_refused_and_told_once(
    tmp_path: Path, events: EventsFile
) -> None:
    (tmp_path / "events.jsonl").symlink_to("/etc/passwd")

    first, second = events.read(MORE), events.read(MORE)

    assert (first.lines, len(first.notes)) == ([], 1)
    assert (second.lines, second.notes) == ([], [])


def test_a_link_put_in_its_place_later_is_never_opened(tmp_path: Path, events: EventsFile) -> None:
    append(tmp_path, b"one\n")
    events.read(MORE)
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "events.jsonl").symlink_to("/etc/passwd")

    assert events.finish(MORE).lines == []


def test_a_file_cut_short_is_read_again_from_its_start(tmp_path: Path, events: EventsFile) -> None:
    append(tmp_path, b"one\ntwo\n")
    events.read(MORE)
    os.truncate(tmp_path / "events.jsonl", 0)
    append(tmp_path, b"new\n")

    read = events.read(MORE)

    assert read.lines == [b"new"]
    assert "append-only" in read.notes[0]


def test_a_huge_rest_at_the_end_is_left_and_said_so(tmp_path: Path, events: EventsFile) -> None:
    append(tmp_path, b"line\n" * 1000)

    read = events.finish(100)

    assert len(read.lines) == 20
    assert "rest unread" in read.notes[0]


def test_a_line_too_long_is_told_once(tmp_path: Path, events: EventsFile) -> None:
    append(tmp_path, b"x" * 70_000 + b"\n" + b"y" * 70_000 + b"\nok\n")

    read = events.finish(MORE)

    assert read.lines == [b"ok"]
    assert len(read.notes) == 1

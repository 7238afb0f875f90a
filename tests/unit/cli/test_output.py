from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.cli.output import Output, age, clean, counted, duration

NOW = datetime(2031, 5, 4, tzinfo=UTC)


def an_output(*, is_terminal: bool = False, colour: bool = False) -> Output:
    return Output(io.StringIO(), io.StringIO(), is_terminal=is_terminal, colour=colour)


def written(output: Output) -> str:
    assert isinstance(output.stdout, io.StringIO)
    return output.stdout.getvalue()


@pytest.mark.parametrize(
    ("dirty", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;c2VjcmV0\x1b\\text", "text"),
        ("a\x1bcb", "ab"),
        ("over\rwritten", "over\nwritten"),
        ("bell\x07", "bell"),
        ("\x9b31mred", "31mred"),
        ("abc\u202edef", "abcdef"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("grüße 饺子", "grüße 饺子"),
    ],
)
def test_what_moves_a_cursor_or_lies_is_taken_out(dirty: str, plain: str) -> None:
    assert clean(dirty) == plain


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert not [c for c in clean(text) if ord(c) < 32 and c not in "\n\t"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0124, "12 ms"),
        (1, "1 s"),
        (59.9, "59 s"),
        (200, "3m 20s"),
        (4320, "1h 12m"),
        (183600, "2d 3h"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.5, "0s"), (40, "40s"), (200, "3m"), (7300, "2h"), (260000, "3d")]
)
def test_ages_are_said_in_their_largest_unit(seconds: float, words: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_pipe_gets_whole_values_between_tabs() -> None:
    output = an_output()

    output.table(("RUN", "AGE>"), [("run_" + "x" * 200, "3m"), ("a\tb\nc", "1s")])

    assert written(output) == f"RUN\tAGE\nrun_{'x' * 200}\t3m\na b c\t1s\n"


def test_a_terminal_gets_aligned_columns_without_escapes_unless_coloured() -> None:
    output = an_output(is_terminal=True)

    output.table(("RUN", "AGE>"), [("run_1", "3m"), ("run_22", "12s")])

    rows = [line.rstrip() for line in written(output).splitlines() if "run_" in line]
    assert [row.split() for row in rows] == [["run_1", "3m"], ["run_22", "12s"]]
    assert len({len(row) for row in rows}) == 1
    assert "\x1b" not in written(output)


def test_json_for_a_pipe_is_one_line_and_keeps_every_character() -> None:
    output = an_output()

    output.json({"text": "饺子\x1b[31m", "n": 1})

    line = written(output)
    assert line.count("\n") == 1
    assert json.loads(line) == {"text": "饺子\x1b[31m", "n": 1}


def test_a_runs_output_is_unchanged_for_a_pipe_and_cleaned_for_a_terminal() -> None:
    pipe, terminal = an_output(), an_output(is_terminal=True)

    for output in (pipe, terminal):
        output.raw("\x1b[31mred\x1b[0m\n")

    assert written(pipe) == "\x1b[31mred\x1b[0m\n"
    assert written(terminal) == "red\n"


def test_one_is_not_many() -> None:
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_a_reason_that_repeats_the_state_is_not_said() -> None:
    output = an_output()

    assert output.state("CANCELLED", "CANCELLED") == "CANCELLED"
    assert output.state("FAILED", "OOM") == "FAILED (oom)"

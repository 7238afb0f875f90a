from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyoza.worker.logs import PIECE_CHARS, LogIntake, Piece


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@given(st.text(alphabet="aä€😀\n", max_size=50), st.integers(1, 7))
def test_characters_cut_apart_on_their_way_are_put_together(text: str, size: int) -> None:
    intake = LogIntake(0)
    data = text.encode()

    pieces = [
        piece
        for start in range(0, len(data), size)
        for piece in intake.take("stdout", data[start : start + size], 0)
    ]

    assert text_of(pieces + intake.finish(0)) == text


def test_streams_are_decoded_apart() -> None:
    intake = LogIntake(0)
    euro = "€".encode()

    pieces = intake.take("stdout", euro[:1], 0) + intake.take("stderr", b"e", 0)
    pieces += intake.take("stdout", euro[1:], 0)

    assert pieces == [Piece("stderr", "e"), Piece("stdout", "€")]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert text_of(LogIntake(0).take("stdout", b"a\xffb\x00c", 0)) == "a�b�c"


def test_a_long_line_comes_in_pieces() -> None:
    pieces = LogIntake(0).take("stdout", b"x" * (PIECE_CHARS + 1), 0)

    assert [len(piece.text) for piece in pieces] == [PIECE_CHARS, 1]


def test_what_is_over_the_rate_is_dropped_marked_and_its_end_kept() -> None:
    intake = LogIntake(0, bytes_per_second=1000)

    flood = [intake.take("stdout", b"%03d\n" % (n % 1000), 0) for n in range(100_000)]
    end = intake.finish(0)

    passed = sum(len(piece.text) for pieces in flood for piece in pieces)
    assert passed == 2000
    assert end[0].stream == "system"
    assert "bytes dropped" in end[0].text
    assert end[-1].text == "999\n"


def test_a_flood_that_goes_on_is_not_a_mark_on_every_second_line() -> None:
    intake = LogIntake(0, bytes_per_second=1000)

    pieces = [
        piece for n in range(100_000) for piece in intake.take("stdout", b"123\n", now_s=n / 10_000)
    ]

    marks = sum(piece.stream == "system" for piece in pieces)
    assert 10 <= marks <= 50, "ten seconds of flood, at most some marks a second"


def test_after_the_limit_in_all_only_the_last_words_pass() -> None:
    intake = LogIntake(0, max_bytes=10)

    first = intake.take("stdout", b"0123456789", 0)
    second = intake.take("stdout", b"more\n", 100)
    end = intake.finish(200)

    assert (text_of(first), second) == ("0123456789", [])
    assert text_of(end) == "more\n"


def test_the_tail_is_bounded_whatever_comes() -> None:
    intake = LogIntake(0)

    for _ in range(1000):
        intake.take("stderr", b"x" * 10_000, 0)

    assert 0 < len(intake.tail) <= 64 * 1024

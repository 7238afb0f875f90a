from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyoza.worker.logs import MAX_BYTES, PIECE_CHARS, LogIntake, LogMark, Piece
from gyoza.worker.runtime.docker_logs import LogCursor
from gyoza.worker.runtime.interface import LogChunk, LogPosition, StreamName


def said(data: bytes, stream: StreamName = "stdout") -> LogChunk:
    return LogChunk(stream, data, 1)


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@given(st.text(alphabet="aä€😀\n", max_size=50), st.integers(1, 7))
def test_characters_cut_apart_on_their_way_are_put_together(text: str, size: int) -> None:
    intake = LogIntake(0)
    data = text.encode()

    pieces = [
        piece
        for start in range(0, len(data), size)
        for piece in intake.take(said(data[start : start + size]), 0)
    ]

    assert text_of(pieces + intake.finish(0)) == text


def test_streams_are_decoded_apart() -> None:
    intake = LogIntake(0)
    euro = "€".encode()

    pieces = intake.take(said(euro[:1]), 0) + intake.take(said(b"e", "stderr"), 0)
    pieces += intake.take(said(euro[1:]), 0)

    assert [piece[:2] for piece in pieces] == [("stderr", "e"), ("stdout", "€")]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert text_of(LogIntake(0).take(said(b"a\xffb\x00c"), 0)) == "a�b�c"


def test_a_long_line_comes_in_pieces() -> None:
    pieces = LogIntake(0).take(said(b"x" * (PIECE_CHARS + 1)), 0)

    assert [len(piece.text) for piece in pieces] == [PIECE_CHARS, 1]


def test_what_is_over_the_rate_is_dropped_marked_and_its_end_kept() -> None:
    intake = LogIntake(0, bytes_per_second=1000)

    flood = [intake.take(said(b"%03d\n" % (n % 1000)), 0) for n in range(100_000)]
    end = intake.finish(0)

    passed = sum(len(piece.text) for pieces in flood for piece in pieces)
    assert passed == 2000
    assert end[0].stream == "system"
    assert "bytes dropped" in end[0].text
    assert end[-1].text == "999\n"


def test_a_flood_that_goes_on_is_not_a_mark_on_every_second_line() -> None:
    intake = LogIntake(0, bytes_per_second=1000)

    pieces = [
        piece for n in range(100_000) for piece in intake.take(said(b"123\n"), now_s=n / 10_000)
    ]

    marks = sum(piece.stream == "system" for piece in pieces)
    assert 10 <= marks <= 50, "ten seconds of flood, at most some marks a second"


def test_after_the_limit_in_all_only_the_last_words_pass() -> None:
    intake = LogIntake(0, max_bytes=10)

    first = intake.take(said(b"0123456789"), 0)
    second = intake.take(said(b"more\n"), 100)
    end = intake.finish(200)

    assert (text_of(first), second) == ("0123456789", [])
    assert text_of(end) == "more\n"


def test_the_tail_is_bounded_whatever_comes() -> None:
    intake = LogIntake(0)

    for _ in range(1000):
        intake.take(said(b"x" * 10_000, "stderr"), 0)

    assert 0 < len(intake.tail) <= 64 * 1024


@given(
    st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(alphabet="aä€😀", max_size=9)),
        max_size=12,
    ),
    st.integers(1, 5),
    st.integers(0, 40),
)
def test_another_process_goes_on_behind_any_piece_to_the_character(
    words: list[tuple[StreamName, str]], size: int, stop: int
) -> None:
    log = [
        LogChunk(stream, data[at : at + size], time)
        for time, (stream, text) in enumerate(words, 1)
        for data in [text.encode()]
        for at in range(0, len(data), size)
    ]
    first = LogIntake(0)
    heard = [piece for chunk in log for piece in first.take(chunk, 0)][:stop]

    mark = next((piece.mark for piece in reversed(heard)), None)
    mark = None if mark is None else LogMark.from_dict(mark.to_dict())
    second = LogIntake(0, after=mark)
    cursor = LogCursor(second.position)
    rest = [
        piece
        for chunk in log
        if (fresh := cursor.take(chunk)) is not None
        for piece in second.take(fresh, 0)
    ]

    for stream in ("stdout", "stderr"):
        whole = "".join(piece.text for piece in [*heard, *rest] if piece.stream == stream)
        assert whole == "".join(text for name, text in words if name == stream)


def test_another_process_goes_on_within_a_chunk_of_several_pieces() -> None:
    chunk = said(("€" * (3 * PIECE_CHARS)).encode())
    first, second, third = LogIntake(0).take(chunk, 0)

    again = LogIntake(0, after=second.mark).take(chunk, 0)

    assert first.mark is not None
    assert first.mark.skip == PIECE_CHARS
    assert [piece.text for piece in again] == [third.text]


def test_what_may_pass_in_all_counts_across_processes() -> None:
    after = LogMark.at(LogPosition(), left=3)

    pieces = LogIntake(0, after=after).take(said(b"1234"), 0)

    assert pieces == []
    assert LogMark.at(LogPosition()).left == MAX_BYTES

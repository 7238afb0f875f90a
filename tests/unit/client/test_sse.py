from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.client._sse import Message, SseDecoder


def decoded(*chunks: bytes) -> list[Message]:
    decoder = SseDecoder()
    return [message for chunk in chunks for message in decoder.feed(chunk)]


def test_an_event_has_its_type_id_and_data() -> None:
    assert decoded(b"event: log\nid: 1.2\ndata: {}\n\n") == [Message("log", "{}", "1.2")]


def test_data_lines_are_joined_and_one_leading_space_is_dropped() -> None:
    assert decoded(b"data:a\ndata:  b\n\n") == [Message("message", "a\n b", "")]


def test_comments_and_retry_make_no_message() -> None:
    assert decoded(b": still here\n\nretry: 1000\n\n") == []


def test_an_id_lasts_until_the_next_one() -> None:
    assert [m.id for m in decoded(b"id: 7\ndata: a\n\ndata: b\n\n")] == ["7", "7"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_standard_is_taken(line_end: bytes) -> None:
    stream = b"event: x\ndata: 1\n\n".replace(b"\n", line_end) + b": next" + line_end

    assert decoded(stream) == [Message("x", "1", "")]


def test_an_unfinished_message_is_not_given() -> None:
    assert decoded(b"data: half") == []


@given(cuts=st.lists(st.integers(0, 60), max_size=6), text=st.text(max_size=12))
def test_where_the_stream_is_cut_makes_no_difference(cuts: list[int], text: str) -> None:
    data = text.replace("\r", "").replace("\n", "")
    stream = f"event: log\r\nid: 3\r\ndata: {data}\r\n\r\n: end\n".encode()
    at = sorted(min(cut, len(stream)) for cut in cuts)
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]

    assert decoded(*pieces) == [Message("log", data, "3")]

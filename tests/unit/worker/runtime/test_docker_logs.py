"""The log stream taken apart, however the network cut it, and joined again without a gap."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.worker.runtime.docker_logs import (
    LogCursor,
    LogDecoder,
    nanoseconds,
    since_parameter,
)
from gyoza.worker.runtime.interface import (
    LogChunk,
    LogPosition,
    RuntimeFault,
    StreamName,
    StreamPosition,
)

STREAM_NUMBERS: dict[StreamName, int] = {"stdout": 1, "stderr": 2}
SECOND = 1_000_000_000
EPOCH_2026 = 1_767_225_600 * SECOND

lines = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]), st.binary(max_size=40), st.integers(0, 10**12)
    ),
    max_size=12,
)


def stamp(t_ns: int) -> str:
    whole = datetime.fromtimestamp(t_ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{t_ns % SECOND:09d}Z"


def frame(stream: StreamName, data: bytes, t_ns: int) -> bytes:
    payload = stamp(t_ns).encode() + b" " + data
    return bytes([STREAM_NUMBERS[stream], 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def joined(chunks: list[LogChunk]) -> list[tuple[str, bytes, int | None]]:
    """Neighbouring pieces of one stream and time as one."""
    whole: list[tuple[str, bytes, int | None]] = []
    for chunk in chunks:
        if whole and whole[-1][0] == chunk.stream and whole[-1][2] == chunk.t_ns:
            whole[-1] = (chunk.stream, whole[-1][1] + chunk.data, chunk.t_ns)
        else:
            whole.append((chunk.stream, chunk.data, chunk.t_ns))
    return whole


@given(said=lines, cuts=st.lists(st.integers(0, 2000), max_size=30))
def test_where_the_stream_is_cut_makes_no_difference(
    said: list[tuple[StreamName, bytes, int]], cuts: list[int]
) -> None:
    # Distinct times keep neighbours apart; an empty payload is no chunk at all.
    said = [(stream, data, EPOCH_2026 + n) for n, (stream, data, _) in enumerate(said)]
    raw = b"".join(frame(*line) for line in said)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    decoder = LogDecoder()

    chunks = [chunk for start, stop in pairwise(edges) for chunk in decoder.feed(raw[start:stop])]

    assert joined(chunks) == [line for line in said if line[1]]


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_a_timestamp_is_read_to_the_nanosecond(t_ns: int) -> None:
    assert nanoseconds(stamp(t_ns)) == t_ns


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T02:00:00.000000001+02:00", "2025-12-31T19:30:00.000000001-04:30"],
)
def test_a_timestamp_in_another_zone_is_the_same_moment(text: str) -> None:
    assert nanoseconds(text) == EPOCH_2026 + 1


def test_a_timestamp_without_decimals_is_a_whole_second() -> None:
    assert nanoseconds("2026-01-01T00:00:00Z") == EPOCH_2026


@pytest.mark.parametrize(
    "raw",
    [
        b"plain words of a terminal\r\n",
        b"\x01\0\0\x01\0\0\0\x05hello",
        b"\x01\0\0\0\0\0\0\x05hello",
        b"\x01\0\0\0\0\0\0\x0anot a time",
        b"\x01\0\0\0\0\0\0\x64" + b"x" * 100,
    ],
)
def test_what_is_no_log_stream_is_refused(raw: bytes) -> None:
    with pytest.raises(RuntimeFault, match="log stream broke"):
        LogDecoder().feed(raw)


def test_the_engines_own_trouble_is_raised_in_its_words() -> None:
    words = b"Error grabbing logs: unexpected EOF"
    raw = frame("stdout", b"fine\n", EPOCH_2026) + b"\x03\0\0\0" + len(words).to_bytes(4, "big")

    with pytest.raises(RuntimeFault, match="unexpected EOF"):
        LogDecoder().feed(raw + words)


def test_an_endless_line_is_passed_on_piece_by_piece_in_bounded_memory() -> None:
    decoder = LogDecoder()
    length = 1 << 30
    header = b"\x01\0\0\0" + (length + 31).to_bytes(4, "big") + stamp(EPOCH_2026).encode() + b" "
    piece = bytes(1 << 20)
    decoder.feed(header)
    total = 0

    tracemalloc.start()
    for _ in range(length // len(piece)):
        total += sum(len(chunk.data) for chunk in decoder.feed(piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert total == length
    assert peak < 8 << 20


def test_the_since_parameter_keeps_every_nanosecond() -> None:
    assert since_parameter(EPOCH_2026 + 7) == "1767225600.000000007"


def taken(cursor: LogCursor, chunks: list[LogChunk]) -> list[LogChunk]:
    return [fresh for chunk in chunks if (fresh := cursor.take(chunk)) is not None]


def test_what_was_read_up_to_a_position_is_not_repeated() -> None:
    chunks = [LogChunk("stdout", b"old\n", 5), LogChunk("stdout", b"new\n", 6)]

    assert taken(LogCursor(LogPosition().after(chunks[0])), chunks) == chunks[1:]


@given(
    said=st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(1, 9)), max_size=20),
    read=st.integers(0, 20),
    cut=st.integers(0, 9),
    readers=st.integers(1, 2),
)
def test_a_log_read_again_after_a_broken_reading_is_whole(
    said: list[tuple[StreamName, int]], read: int, cut: int, readers: int
) -> None:
    # Pieces of one line share a time: every second piece here continues the one before.
    log = [
        LogChunk(stream, bytes([65 + n]) * size, 1000 + n // 2)
        for n, (stream, size) in enumerate(said)
    ]
    broken = log[:read]
    if len(log) > read and cut:
        half = log[read]
        broken = [*broken, LogChunk(half.stream, half.data[:cut], half.t_ns)]
    cursor = LogCursor()

    first = taken(cursor, broken)
    if readers > 1:
        cursor = LogCursor(LogPosition.from_list(cursor.position.to_list()))
    since = cursor.rewind()
    second = taken(cursor, [chunk for chunk in log if since is None or (chunk.t_ns or 0) >= since])

    for stream in STREAM_NUMBERS:
        heard = b"".join(chunk.data for chunk in [*first, *second] if chunk.stream == stream)
        assert heard == b"".join(chunk.data for chunk in log if chunk.stream == stream)


def test_reading_again_begins_where_an_unfinished_line_began() -> None:
    cursor = LogCursor()
    cursor.take(LogChunk("stdout", b"a line of hours, begun early", 10 * SECOND))
    cursor.take(LogChunk("stderr", b"done\n", 99 * SECOND))

    assert cursor.rewind() == 10 * SECOND


def test_reading_again_after_whole_lines_goes_back_a_moment_only() -> None:
    cursor = LogCursor()
    cursor.take(LogChunk("stdout", b"long ago\n", 10 * SECOND))
    cursor.take(LogChunk("stderr", b"done\n", 99 * SECOND))

    assert 98 * SECOND < (cursor.rewind() or 0) < 99 * SECOND


def test_reading_again_when_nothing_came_begins_as_before() -> None:
    assert LogCursor().rewind() is None
    assert LogCursor(LogPosition(StreamPosition(7, 1, ends_line=False))).rewind() == 0

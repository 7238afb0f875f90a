"""The Docker Engine's log stream taken apart: bytes as they arrive in, labelled pieces out.

Pure and incremental: `LogDecoder` reads one answer, `LogCursor` joins several without a gap. The
stream is a series of frames, each with an 8-byte header (stream, three zero bytes, length as a
big-endian 32-bit number) and, as we ask for timestamps, with a time and a space at the start of its
payload. Frames may be cut anywhere and be of any length; what a decoder keeps between two calls is
never more than one header and one timestamp.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from gyoza.worker.runtime.interface import (
    LogChunk,
    LogPosition,
    RuntimeFault,
    StreamName,
    StreamPosition,
)

HEADER_BYTES: Final = 8
LONGEST_TIMESTAMP: Final = len("2006-01-02T15:04:05.000000000+07:00 ")
STREAMS: Final[dict[int, StreamName]] = {1: "stdout", 2: "stderr"}
_STREAM_NAMES: Final[tuple[StreamName, ...]] = ("stdout", "stderr")
ENGINE_ERROR: Final = 3
"""Not the container speaks but the engine, which cannot read its own log files."""

OUT_OF_ORDER_NS: Final = 50_000_000
"""Far more than the engine's readers of stdout and stderr are ever apart."""


class LogDecoder:
    """Turns the multiplexed stream of `GET /containers/{id}/logs?timestamps=1` into chunks.

    Source: https://docs.docker.com/reference/api/engine/version/v1.41/#operation/ContainerAttach
    """

    __slots__ = ("_head", "_is_error", "_left", "_stream", "_t_ns")

    def __init__(self) -> None:
        self._head = bytearray()  # a header, or a timestamp, of which the rest is still to come
        self._left = 0  # bytes of the current frame still to come; 0: a header is next
        self._is_error = False
        self._stream: StreamName = "stdout"
        self._t_ns: int | None = None  # None within a frame: its timestamp is next

    def feed(self, data: bytes) -> list[LogChunk]:
        """The pieces that `data` completes or continues, in order.

        Raises:
            RuntimeFault: This is no such stream (the container has a terminal, for example), or
                the engine says in it that it cannot go on.
        """
        chunks: list[LogChunk] = []
        position = 0
        while position < len(data):
            if self._left == 0:
                position = self._take_header(data, position)
            elif self._is_error:
                raise _unreadable(data[position : position + self._left])
            elif self._t_ns is None:
                position = self._take_timestamp(data, position)
            else:
                position = self._take_payload(data, position, self._t_ns, chunks)
        return chunks

    def _take_header(self, data: bytes, position: int) -> int:
        end = position + HEADER_BYTES - len(self._head)
        self._head += data[position:end]
        if len(self._head) == HEADER_BYTES:
            self._open_frame(bytes(self._head))
            self._head.clear()
        return min(end, len(data))

    def _open_frame(self, header: bytes) -> None:
        self._is_error = header[0] == ENGINE_ERROR
        if header[1:4] != b"\0\0\0" or not (self._is_error or header[0] in STREAMS):
            raise RuntimeFault(
                f"the engine's log stream broke: {header!r} is not the start of a frame",
                detail=repr(header),
            )
        self._stream = STREAMS.get(header[0], "stderr")
        self._left = int.from_bytes(header[4:], "big")
        self._t_ns = None

    def _take_timestamp(self, data: bytes, position: int) -> int:
        end = position + min(self._left, LONGEST_TIMESTAMP - len(self._head))
        space = data.find(b" ", position, end)
        stop = min(end, len(data)) if space < 0 else space + 1
        self._head += data[position:stop]
        self._left -= stop - position
        if space >= 0:
            self._t_ns = nanoseconds(self._head.decode("ascii", "replace").rstrip())
            self._head.clear()
        elif self._left == 0 or len(self._head) == LONGEST_TIMESTAMP:
            raise RuntimeFault(
                f"the engine's log stream broke: {bytes(self._head)!r} is not a timestamp",
                detail=repr(bytes(self._head)),
            )
        return stop

    def _take_payload(self, data: bytes, position: int, t_ns: int, chunks: list[LogChunk]) -> int:
        stop = min(position + self._left, len(data))
        self._left -= stop - position
        chunks.append(LogChunk(self._stream, data[position:stop], t_ns))
        return stop


class LogCursor:
    """How far a log was read, so that it can be read again from there, to the byte.

    Args:
        position: Where an earlier reading got; None for the beginning.
    """

    __slots__ = ("_repeated", "position")

    def __init__(self, position: LogPosition | None = None) -> None:
        self.position = position or LogPosition()
        self._repeated: dict[StreamName, StreamPosition] = {}
        self.rewind()

    def take(self, chunk: LogChunk) -> LogChunk | None:
        """`chunk`, or what of it is new, or None."""
        fresh = self._fresh(chunk, chunk.t_ns or 0)
        if not fresh:
            return None
        new = LogChunk(chunk.stream, fresh, chunk.t_ns)
        self.position = self.position.after(new)
        return new

    def _fresh(self, chunk: LogChunk, t_ns: int) -> bytes:
        repeated = self._repeated.get(chunk.stream)
        if repeated is None or t_ns > repeated.t_ns:
            return chunk.data
        if t_ns < repeated.t_ns:  # the engine's own `since` goes back further
            return b""
        fresh = chunk.data[repeated.size :]
        left = max(repeated.size - len(chunk.data), 0)
        self._repeated[chunk.stream] = repeated._replace(size=left)
        return fresh

    def rewind(self) -> int | None:
        """Prepare for the same log once more.

        Returns:
            The time from which on to read it: nothing new lies before. None: from the beginning.
        """
        streams = zip(_STREAM_NAMES, self.position, strict=True)
        self._repeated = {name: reached for name, reached in streams if reached is not None}
        reached = self._repeated.values()
        if not reached:
            return None
        unfinished = [each.t_ns for each in reached if not each.ends_line]
        latest = max(each.t_ns for each in reached)
        return max(min([latest - OUT_OF_ORDER_NS, *unfinished]), 0)


def _unreadable(words: bytes) -> RuntimeFault:
    detail = words.decode("utf-8", "replace").strip()
    return RuntimeFault(f"the engine cannot read the container's log: {detail}", detail=detail)


def nanoseconds(timestamp: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine decimals.

    Raises:
        RuntimeFault: It is none.
    """
    whole, _, rest = timestamp.partition(".")
    digits = rest.rstrip("Z").partition("+")[0].partition("-")[0]
    zone = rest[len(digits) :] if rest else ""
    try:
        return _seconds(whole + zone) * 1_000_000_000 + int(digits.ljust(9, "0") or "0")
    except ValueError as error:
        raise RuntimeFault(
            f"the engine's log stream broke: {timestamp!r} is not a time", detail=timestamp
        ) from error


@lru_cache(maxsize=8)
def _seconds(timestamp: str) -> int:
    # Many lines share a second; a flood of them is parsed twice as fast with this.
    return int(datetime.fromisoformat(timestamp).timestamp())


def since_parameter(since_ns: int) -> str:
    """A moment as the API's `since`: seconds with nine decimals. The engine includes it."""
    return f"{since_ns // 1_000_000_000}.{since_ns % 1_000_000_000:09d}"

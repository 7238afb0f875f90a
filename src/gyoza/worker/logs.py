"""From a container's output to pieces of text that are worth keeping. Pure: bytes in, text out.

Decodes, cuts and limits; whatever a container writes, memory stays bounded and what was left out
is marked. Reading from the engine and sending to the server are done elsewhere.
"""

from __future__ import annotations

import codecs
from collections import deque
from typing import Final, Literal, NamedTuple

from gyoza.worker.pacing import TokenBucket

Stream = Literal["stdout", "stderr", "system"]

PIECE_CHARS: Final = 16 * 1024
BYTES_PER_SECOND: Final = 1024 * 1024
MAX_BYTES: Final = 10 * 1024 * 1024
TAIL_BYTES: Final = 64 * 1024


class Piece(NamedTuple):
    """Some text of one stream."""

    stream: Stream
    text: str


class LogIntake:
    """Takes what one attempt's container writes.

    Args:
        now_s: Monotonic seconds at the start.
        bytes_per_second: What passes in a second; twice as much may come at once.
        max_bytes: What passes in all; the last 64 KiB pass in any case, at the end.
    """

    def __init__(
        self, now_s: float, *, bytes_per_second: int = BYTES_PER_SECOND, max_bytes: int = MAX_BYTES
    ) -> None:
        self._decoders = {name: _decoder() for name in ("stdout", "stderr")}
        self._bucket = TokenBucket(bytes_per_second, 2 * bytes_per_second, now_s)
        self._pause = bytes_per_second / 4
        self._left = max_bytes
        self._dropped = 0
        self._unsent: deque[Piece] = deque()
        self._unsent_chars = 0
        self._tail: deque[Piece] = deque()
        self._tail_chars = 0

    @property
    def tail(self) -> str:
        """The last words of both streams, at most 64 Ki characters."""
        return "".join(piece.text for piece in self._tail)

    @property
    def is_dropping(self) -> bool:
        """The container writes more than passes right now."""
        return self._dropped > 0

    def take(self, stream: Literal["stdout", "stderr"], data: bytes, now_s: float) -> list[Piece]:
        """Take the next bytes; returns what passes, marks included."""
        text = self._decoders[stream].decode(data)
        return self._passed(stream, text, now_s)

    def finish(self, now_s: float) -> list[Piece]:
        """Nothing follows: returns bytes that began a character, the mark, and the last words."""
        ends = [
            piece
            for stream in ("stdout", "stderr")
            for piece in self._passed(stream, self._decoders[stream].decode(b"", final=True), now_s)
        ]
        if not self._dropped:
            return ends
        kept = sum(len(piece.text.encode()) for piece in self._unsent)
        self._dropped = max(0, self._dropped - kept)
        return [*ends, *self._mark(), *self._unsent]

    def _passed(self, stream: Stream, text: str, now_s: float) -> list[Piece]:
        found: list[Piece] = []
        text = text.replace("\x00", "\ufffd")  # legal UTF-8, but no store takes it as text
        for start in range(0, len(text), PIECE_CHARS):
            piece = Piece(stream, text[start : start + PIECE_CHARS])
            self._tail_chars = _keep_last(self._tail, self._tail_chars, piece)
            size = len(piece.text.encode())
            if self._has_room(size, now_s):
                found += [*self._mark(), piece]
            else:
                self._dropped += size
                self._unsent_chars = _keep_last(self._unsent, self._unsent_chars, piece)
        return found

    def _has_room(self, size: int, now_s: float) -> bool:
        # Whole pieces or nothing: half a line helps nobody. Once something was dropped, nothing
        # passes for a moment, or every second line of a flood would be a mark.
        if size > self._left:
            self._left = 0
            return False
        if not self._bucket.take(size, now_s, reserve=self._pause if self._dropped else 0):
            return False
        self._left -= size
        self._unsent.clear()
        self._unsent_chars = 0
        return True

    def _mark(self) -> list[Piece]:
        if not self._dropped:
            return []
        dropped, self._dropped = self._dropped, 0
        return [dropped_mark(dropped)]


def dropped_mark(dropped: int, why: str = "") -> Piece:
    """The system's line in place of text that was left out."""
    return Piece("system", f"[gyoza: {dropped} bytes dropped{why}]\n")


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


def _keep_last(kept: deque[Piece], chars: int, piece: Piece) -> int:
    kept.append(piece)
    chars += len(piece.text)
    while chars > TAIL_BYTES and len(kept) > 1:
        chars -= len(kept.popleft().text)
    return chars

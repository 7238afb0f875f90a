"""From a container's output to pieces of text that are worth keeping. Pure: bytes in, text out.

Decodes, cuts and limits; whatever a container writes, memory stays bounded and what was left out
is marked. Reading from the engine and sending to the server are done elsewhere.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from gyoza.worker.pacing import TokenBucket
from gyoza.worker.runtime.interface import LogChunk, LogPosition, StreamName

Stream = Literal["stdout", "stderr", "system"]

PIECE_CHARS: Final = 16 * 1024
BYTES_PER_SECOND: Final = 1024 * 1024
MAX_BYTES: Final = 10 * 1024 * 1024
TAIL_BYTES: Final = 64 * 1024


class LogMark(NamedTuple):
    """A place in a container's output, to the character, and what still passes after it.

    Attributes:
        position: To the byte.
        held: Bytes before it that began a character, of stdout and of stderr.
        stream: The stream of which some characters behind the position were read, too.
        skip: How many.
        left: Bytes that may still pass in all.
    """

    position: LogPosition
    held: tuple[bytes, bytes]
    stream: Literal["stdout", "stderr"]
    skip: int
    left: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for the journal."""
        return {
            "position": self.position.to_list(),
            "held": [each.hex() for each in self.held],
            "stream": self.stream,
            "skip": self.skip,
            "left": self.left,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LogMark:
        """The inverse of `to_dict`.

        Raises:
            KeyError: A member is missing.
            TypeError: One has another form.
        """
        first, second = (bytes.fromhex(each) for each in data["held"])
        position = LogPosition.from_list(data["position"])
        return cls(position, (first, second), data["stream"], data["skip"], data["left"])

    @classmethod
    def at(cls, position: LogPosition, *, left: int = MAX_BYTES) -> LogMark:
        """A place between two characters."""
        return cls(position, (b"", b""), "stdout", 0, left)


class Piece(NamedTuple):
    """Some text of one stream.

    Attributes:
        mark: The place behind it; None if no container wrote it.
    """

    stream: Stream
    text: str
    mark: LogMark | None = None


class LogIntake:
    """Takes what one attempt's container writes.

    Args:
        now_s: Monotonic seconds at the start.
        after: Where an earlier process got; None for the beginning.
        age_s: Seconds for which the container has run already; what it said while nobody read is
            no flood.
        bytes_per_second: What passes in a second; twice as much may come at once.
        max_bytes: What passes in all; the last 64 KiB pass in any case, at the end.
    """

    def __init__(
        self,
        now_s: float,
        *,
        after: LogMark | None = None,
        age_s: float = 0.0,
        bytes_per_second: int = BYTES_PER_SECOND,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        after = after or LogMark.at(LogPosition(), left=max_bytes)
        self._decoders = dict(zip(("stdout", "stderr"), map(_decoder, after.held), strict=True))
        self._skip = {after.stream: after.skip}
        self._position = after.position
        saved = age_s * bytes_per_second - (max_bytes - after.left)
        self._bucket = TokenBucket(bytes_per_second, 2 * bytes_per_second, now_s, saved=saved)
        self._pause = bytes_per_second / 4
        self._left = after.left
        self._dropped = 0
        self._unsent: deque[Piece] = deque()
        self._unsent_chars = 0
        self._unsent_from: LogMark | None = None
        self._tail: deque[Piece] = deque()
        self._tail_chars = 0

    @property
    def position(self) -> LogPosition:
        """How far it was read."""
        return self._position

    @property
    def tail(self) -> str:
        """The last words of both streams, at most 64 Ki characters."""
        return "".join(piece.text for piece in self._tail)

    @property
    def is_dropping(self) -> bool:
        """The container writes more than passes right now."""
        return self._dropped > 0

    def take(self, chunk: LogChunk, now_s: float) -> list[Piece]:
        """Take the next bytes; returns what passes, marks of what was dropped included."""
        before = self._here(chunk.stream)
        text = self._decoders[chunk.stream].decode(chunk.data)
        self._position = self._position.after(chunk)
        return self._passed(text, now_s, before)

    def finish(self, now_s: float) -> list[Piece]:
        """Nothing follows: returns bytes that began a character, the mark, and the last words."""
        ends = [*self._flushed("stdout", now_s), *self._flushed("stderr", now_s)]
        if not self._dropped:
            return ends
        kept = sum(len(piece.text.encode()) for piece in self._unsent)
        self._dropped = max(0, self._dropped - kept)
        return [*ends, *self._mark(self._unsent_from), *self._unsent]

    def _here(self, stream: StreamName) -> LogMark:
        first, second = (each.getstate()[0] for each in self._decoders.values())
        return LogMark(self._position, (first, second), stream, 0, self._left)

    def _flushed(self, stream: StreamName, now_s: float) -> list[Piece]:
        before = self._here(stream)
        return self._passed(self._decoders[stream].decode(b"", final=True), now_s, before)

    def _passed(self, text: str, now_s: float, before: LogMark) -> list[Piece]:
        found: list[Piece] = []
        stream = before.stream
        text = text.replace("\x00", "\ufffd")  # legal UTF-8, but no store takes it as text
        behind = self._here(stream)
        for start in range(self._skipped(stream, len(text)), len(text), PIECE_CHARS):
            end = start + PIECE_CHARS
            mark = behind if end >= len(text) else before._replace(skip=end)
            size = len(text[start:end].encode())
            has_room = self._has_room(size, now_s)
            piece = Piece(stream, text[start:end], mark._replace(left=self._left))
            self._tail_chars, _ = _keep_last(self._tail, self._tail_chars, piece)
            if has_room:
                found += [*self._mark(before._replace(skip=start)), piece]
            else:
                self._drop(piece, size)
        return found

    def _skipped(self, stream: StreamName, length: int) -> int:
        """How much of the next text an earlier process has passed on already."""
        skipped = min(self._skip.get(stream, 0), length)
        if skipped:
            self._skip[stream] -= skipped
        return skipped

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
        self._unsent_chars, self._unsent_from = 0, None
        return True

    def _drop(self, piece: Piece, size: int) -> None:
        self._dropped += size
        self._unsent_chars, lost = _keep_last(self._unsent, self._unsent_chars, piece)
        self._unsent_from = self._unsent_from if lost is None else lost.mark

    def _mark(self, place: LogMark | None) -> list[Piece]:
        if not self._dropped:
            return []
        dropped, self._dropped = self._dropped, 0
        return [dropped_mark(dropped)._replace(mark=place)]


def dropped_mark(dropped: int, why: str = "") -> Piece:
    """The system's line in place of text that was left out."""
    return Piece("system", f"[gyoza: {dropped} bytes dropped{why}]\n")


def _decoder(held: bytes) -> codecs.IncrementalDecoder:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.setstate((held, 0))
    return decoder


def _keep_last(kept: deque[Piece], chars: int, piece: Piece) -> tuple[int, Piece | None]:
    """Keep a piece at the end of the last words; returns their size, and what went last for it."""
    kept.append(piece)
    chars += len(piece.text)
    lost: Piece | None = None
    while chars > TAIL_BYTES and len(kept) > 1:
        lost = kept.popleft()
        chars -= len(lost.text)
    return chars, lost

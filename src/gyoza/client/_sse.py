"""Server-sent events as a pure decoder of bytes (WHATWG HTML, section 9.2.6).

httpx2's own reader hands over whole events only; waiting with a deadline needs to get a word in
after every piece that arrives, a heartbeat comment too, so the decoder is fed by the flow.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_EVENT_CHARS: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream; `id` is the last one seen, also when this event had none."""

    event: str
    data: str
    id: str


class SseDecoder:
    """Turns pieces of a byte stream into messages.

    Args:
        last_id: The id that a resumed stream starts from.
    """

    def __init__(self, last_id: str = "") -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._id = last_id
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Yield the messages that the chunk completes.

        Raises:
            ValueError: A line is longer than 16 Mi characters: not a stream of events.
        """
        self._rest += self._text.decode(chunk)
        # A trailing CR may be half of a CRLF, so it waits for what follows.
        held = "\r" if self._rest.endswith("\r") else ""
        whole = self._rest[: len(self._rest) - len(held)]
        *lines, rest = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        if len(self._rest) > MAX_EVENT_CHARS:
            raise ValueError(f"a line of more than {MAX_EVENT_CHARS} characters")
        for line in lines:
            message = self._line(line)
            if message is not None:
                yield message

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\x00" not in value:
            self._id = value

    def _dispatch(self) -> Message | None:
        event, data = self._event, self._data
        self._event, self._data = "", []
        if not data and event != "end":
            return None
        return Message(event or "message", "\n".join(data), self._id)

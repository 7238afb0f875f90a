"""Reading an op's `events.jsonl` while the op writes it: bytes to lines, in bounded memory.

`LineReader` is pure; `EventsFile` holds the one descriptor. What a line says is read in
`op_events`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from gyoza.op import protocol
from gyoza.worker import hostile_files
from gyoza.worker.cursors import EventMark

START: Final = EventMark()
_CHUNK_BYTES: Final = 256 * 1024


class Lines(NamedTuple):
    """What a stretch of the file held.

    Attributes:
        lines: Complete lines without their line ends, blank ones left out.
        notes: What the author of the op should know, in words.
    """

    lines: list[bytes]
    notes: list[str]


def end_of(out_folder: Path) -> EventMark:
    """The place behind all that is in an op's `events.jsonl` right now; the start if it has none.

    An op that is in the middle of a line has its second half taken for a line that is none.
    """
    try:
        with hostile_files.opened_folder(out_folder) as folder:
            descriptor = hostile_files.open_regular(folder, protocol.EVENTS_FILE)
    except (hostile_files.Missing, hostile_files.Refused):
        return START
    try:
        status = os.fstat(descriptor)
        return EventMark(status.st_size, status.st_ino)
    finally:
        os.close(descriptor)


class LineReader:
    """Cuts a stream of bytes into lines; holds never more than one line.

    Args:
        max_line_bytes: Longer lines are skipped as a whole, their line end not counted.

    Attributes:
        complete: Bytes up to the end of the last complete line.
        skipped: Lines that were too long.
    """

    __slots__ = ("_fed", "_held", "_is_skipping", "_max_line_bytes", "complete", "skipped")

    def __init__(self, max_line_bytes: int = protocol.MAX_EVENT_LINE_BYTES) -> None:
        self._fed = 0
        self.complete = 0
        self._max_line_bytes = max_line_bytes
        self._held = b""
        self._is_skipping = False
        self.skipped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that they complete."""
        *ends, rest = data.split(b"\n")
        self._fed += len(data)
        if ends:
            self.complete = self._fed - len(rest)
        found = [line for end in ends if (line := self._complete(end)) is not None and line.strip()]
        self._hold(rest)
        return found

    def finish(self) -> list[bytes]:
        """Nothing follows: return the last line if it lacks its line end, and start afresh."""
        line = self._complete(b"")
        self.complete = self._fed
        return [line] if line is not None and line.strip() else []

    def _complete(self, end: bytes) -> bytes | None:
        self._hold(end)
        line, self._held = self._held, b""
        if self._is_skipping:
            self._is_skipping = False
            return None
        return line

    def _hold(self, data: bytes) -> None:
        if self._is_skipping or not data:
            return
        if len(self._held) + len(data) > self._max_line_bytes:
            self._held = b""
            self._is_skipping = True
            self.skipped += 1
            return
        self._held += data


class EventsFile:
    """An op's `events.jsonl`, held by one descriptor from the moment it is there.

    A file that is put in its place later is not read: whoever holds a descriptor cannot be led
    elsewhere. A file cut short is read again from its start.

    Args:
        out_folder: The attempt's `out/` on this machine.
        after: Where an earlier process got.
    """

    def __init__(self, out_folder: Path, after: EventMark = START) -> None:
        self._out_folder = out_folder
        self._descriptor: int | None = None
        self._inode = after.inode
        self._start = self._offset = after.offset
        self._reader = LineReader()
        self._noted = dict.fromkeys(after.noted)
        self._is_over = False

    @property
    def mark(self) -> EventMark:
        """The place behind the last line that was returned."""
        offset = self._start + self._reader.complete
        return EventMark(offset, self._inode, noted=tuple(self._noted))

    def read(self, most_bytes: int) -> Lines:
        """Read on, at most `most_bytes`; complete lines only."""
        notes = self._opened()
        descriptor = self._descriptor
        if descriptor is None:
            return Lines([], notes)
        notes += self._restarted_if_cut(descriptor)
        lines: list[bytes] = []
        left = most_bytes
        while left > 0 and (data := self._next(descriptor, min(left, _CHUNK_BYTES))):
            left -= len(data)
            lines += self._reader.feed(data)
        return Lines(lines, notes + self._too_long())

    def finish(self, most_bytes: int) -> Lines:
        """Read the rest, at most `most_bytes`, and let go of the file; the op has ended."""
        lines, notes = self.read(most_bytes)
        if self._descriptor is not None and self._next(self._descriptor, 1):
            notes += self._note_once(f"{protocol.EVENTS_FILE}: too much at the end; rest unread")
        else:
            lines += self._reader.finish()
        self.close()
        return Lines(lines, notes)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> list[str]:
        if self._descriptor is not None or self._is_over:
            return []
        try:
            with hostile_files.opened_folder(self._out_folder) as folder:
                self._descriptor = hostile_files.open_regular(folder, protocol.EVENTS_FILE)
        except hostile_files.Missing:
            return []
        except hostile_files.Refused as refusal:
            return self._note_once(f"{refusal}; no events are read")
        return self._recognised(self._descriptor)

    def _recognised(self, descriptor: int) -> list[str]:
        inode = os.fstat(descriptor).st_ino
        if self._inode not in (0, inode):
            self.close()
            self._is_over = True
            return self._note_once(f"{protocol.EVENTS_FILE} was replaced; no more events are read")
        self._inode = inode
        return []

    def _next(self, descriptor: int, most: int) -> bytes:
        data = os.pread(descriptor, most, self._offset)
        self._offset += len(data)
        return data

    def _restarted_if_cut(self, descriptor: int) -> list[str]:
        if os.fstat(descriptor).st_size >= self._offset:
            return []
        self._start = self._offset = 0
        self._reader = LineReader()
        return self._note_once(f"{protocol.EVENTS_FILE} was cut short; it is append-only")

    def _too_long(self) -> list[str]:
        if not self._reader.skipped:
            return []
        limit = protocol.MAX_EVENT_LINE_BYTES
        return self._note_once(
            f"{protocol.EVENTS_FILE}: a line longer than {limit} bytes was skipped"
        )

    def _note_once(self, note: str) -> list[str]:
        # The same complaint at every look would flood the timeline.
        if note in self._noted:
            return []
        self._noted[note] = None
        return [note]

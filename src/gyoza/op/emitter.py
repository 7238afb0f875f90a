"""Writes an attempt's events: one line each, one write each, progress at most ten times a second.

What events mean is the contract's (`protocol`); telling an op to stop is done in `cancellation`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gyoza.op import protocol
from gyoza.op.json_text import to_json

PROGRESS_EVERY_S: Final = 0.1
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_LONGEST_TEXT: Final = 8000


class Emitter:
    """Appends to `events.jsonl`; threads and forked processes may share it.

    Args:
        path: The file; None writes nothing.
        clock: Monotonic seconds.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = None if path is None else os.open(path, _FLAGS, 0o644)
        self._clock = clock
        self._lock = threading.RLock()
        self._sent_s = float("-inf")
        self._waiting: dict[str, Any] | None = None
        self._timer: threading.Timer | None = None

    def emit(self, event: dict[str, Any]) -> None:
        """Write an event, after the progress that came before it."""
        with self._lock:
            self.flush()
            self._write(event)

    def progress(self, event: dict[str, Any]) -> None:
        """Write progress now, or soon if there was some just before; the latest wins."""
        with self._lock:
            wait_s = self._sent_s + PROGRESS_EVERY_S - self._clock()
            self._waiting = event
            if wait_s <= 0:
                self.flush()
            elif self._timer is None and self._descriptor is not None:
                self._timer = threading.Timer(wait_s, self._flush_late)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write the progress that waits, if any."""
        with self._lock:
            event, self._waiting = self._waiting, None
            if event is not None:
                self._sent_s = self._clock()
                self._write(event)

    def close(self) -> None:
        """Write what waits; nothing is written afterwards."""
        with self._lock:
            self.flush()
            if self._timer is not None:
                self._timer.cancel()
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _flush_late(self) -> None:
        with self._lock:
            self._timer = None
            self.flush()

    def _write(self, event: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, line_of(event))
        except OSError as error:  # a full disk must not end the work whose progress it hides
            sys.stderr.write(f"gyoza: an event could not be written: {error}\n")


def line_of(event: dict[str, Any]) -> bytes:
    """An event as one line that the worker takes: what is too long is cut, and says so."""
    line = _line(event)
    if len(line) < protocol.MAX_EVENT_LINE_BYTES:
        return line
    message = str(event.get("msg", ""))[:_LONGEST_TEXT]
    payload = {"cut": f"the event was {len(line)} bytes, at most 64 KiB are taken"}
    return _line({"type": event["type"], "msg": message, "payload": payload})


def _line(event: dict[str, Any]) -> bytes:
    return to_json(event) + b"\n"

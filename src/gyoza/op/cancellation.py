"""How an op learns that it shall stop.

SIGTERM sets a flag. Whoever reports progress or logs meets `Cancelled` there; whoever asks
`cancelled()` is left alone until the grace is over; everyone else is interrupted a moment later,
wherever the main thread is, as Ctrl-C would.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from gyoza.op import protocol

INTERRUPT_AFTER_S: Final = 0.5
"""Time for the op to notice by itself; a small part of the shortest usual grace."""

EXIT_CANCELLED: Final = 128 + signal.SIGTERM
"""What a shell would say of a process that SIGTERM ended; the worker knows why it sent it."""


class Cancelled(BaseException):
    """The op shall stop. Not an Exception, so that `except Exception` does not swallow it.

    Attributes:
        reason: Such as CANCEL, RUN_TIMEOUT or PREEMPTED (it will be tried again).
        message: For people; may be "".
    """

    def __init__(self, reason: str = "CANCEL", message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason
        self.message = message


class Cancellation:
    """One attempt's flag.

    Args:
        folder: The `in/` folder, where the reason appears; None when there is none.
        interrupt_after_s: Seconds until an op that does not notice is interrupted.
    """

    def __init__(
        self, folder: Path | None = None, interrupt_after_s: float = INTERRUPT_AFTER_S
    ) -> None:
        self._folder = folder
        self._interrupt_after_s = interrupt_after_s
        self._requested = threading.Event()
        self._noticed = threading.Event()
        self._asked = False
        self._told: set[int] = set()
        self._interrupt: Callable[[], None] = self._interrupt_main
        self._over = False

    @property
    def is_requested(self) -> bool:
        """Whether the op shall stop. Whoever asks is trusted to stop by itself."""
        if self._requested.is_set():
            self._asked = True
            self._noticed.set()
        return self._requested.is_set()

    def check(self) -> None:
        """Raise `Cancelled`, unless the op has asked by itself.

        Once in each thread, so that cleaning up can still log.

        Raises:
            Cancelled: The op shall stop.
        """
        is_told = self._asked or threading.get_ident() in self._told
        if self._requested.is_set() and not is_told:
            raise self.error()

    def error(self) -> Cancelled:
        """Return the exception for this thread, with the reason that the worker wrote."""
        self._told.add(threading.get_ident())
        self._noticed.set()
        return Cancelled(*self._reason())

    def interrupt_by(self, interrupt: Callable[[], None] | None) -> None:
        """Set how an op that does not notice is interrupted; None: by an exception."""
        self._interrupt = interrupt or self._interrupt_main

    def request(self) -> None:
        """Ask the op to stop."""
        self._requested.set()

    def listen(self) -> None:
        """Take SIGTERM from now on; only in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        threading.Thread(target=self._watch, name="gyoza-cancellation", daemon=True).start()

    def end(self) -> None:
        """The op's code is done: nothing of ours may be interrupted any more."""
        self._over = True
        self._noticed.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        is_second = self._requested.is_set()
        self._requested.set()
        if is_second and not self._noticed.is_set():
            raise self.error()

    def _watch(self) -> None:
        self._requested.wait()
        if not self._noticed.wait(self._interrupt_after_s):
            self._interrupt()

    def _interrupt_main(self) -> None:
        main = threading.main_thread().ident
        if main is not None and not self._over:
            signal.pthread_kill(main, signal.SIGTERM)

    def _reason(self) -> tuple[str, str]:
        if self._folder is None:
            return "CANCEL", ""
        try:
            text = (self._folder / protocol.CANCEL_FILE).read_text("utf-8")
            document: Any = json.loads(text)
            return str(document.get("reason") or "CANCEL"), str(document.get("message") or "")
        except (OSError, ValueError, AttributeError):
            return "CANCEL", ""

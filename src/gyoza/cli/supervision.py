"""Child processes that die with their parent, and whose last words are kept.

Used by `gyoza dev` only. Each child is a session of its own, so that Ctrl-C at the terminal reaches
the supervisor alone, which ends them in order; the kernel ends them when it is killed itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_LAST_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Child:
    """A started part.

    Attributes:
        name: server or worker.
        process: The process.
        log_file: Where its output goes.
    """

    name: str
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def last_lines(self, count: int = 10) -> list[str]:
        """Return the end of its output."""
        with self.log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_BYTES))
            return log.read().decode("utf-8", "replace").splitlines()[-count:]

    def ask_to_end(self) -> None:
        """Send SIGTERM, if it still runs."""
        if self.is_running:
            self.process.terminate()

    def end(self, grace_s: float) -> None:
        """Wait for its end, and kill it and all it started after the grace."""
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start_child(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], log_file: Path
) -> Child:
    """Start `gyoza ARGUMENTS` as a child.

    Args:
        name: server or worker.
        arguments: What follows `gyoza`.
        environment: The child's whole environment.
        log_file: Takes its output; what is in it stays.
    """
    with log_file.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", "gyoza", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            # This process has one thread here, so running code between fork and exec is safe.
            preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509
        )
    return Child(name, process, log_file)


def _dying_with(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        # Not SIGTERM: a worker takes that as time to finish its runs, and would keep its state
        # folder from the next `gyoza dev` for as long.
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the line above: then nobody would send the signal.
        if os.getppid() != parent:
            os._exit(1)

    return prepare

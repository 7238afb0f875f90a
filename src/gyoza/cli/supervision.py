"""Child processes that die with their parent, whose last words are kept, and when to try again.

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
STEADY_AFTER_S: Final = 30.0
QUICK_DEATHS: Final = 5
_FIRST_PAUSE_S: Final = 0.5


@dataclass(slots=True)
class Restarts:
    """When a part that ended is started again; values in, values out.

    Attributes:
        quick_deaths: How often in a row it ended before it had run for `STEADY_AFTER_S`.
    """

    quick_deaths: int = 0

    def pause_s(self, lived_s: float) -> float | None:
        """Take an end, and return the seconds to wait; None when it is hopeless.

        Args:
            lived_s: For how long it had run.
        """
        self.quick_deaths = self.quick_deaths + 1 if lived_s < STEADY_AFTER_S else 0
        if self.quick_deaths >= QUICK_DEATHS:
            return None
        return _FIRST_PAUSE_S * 2**self.quick_deaths


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

    def how_it_ended(self) -> str:
        """Return the end of a sentence about it; "" while it runs."""
        code = self.process.poll()
        if code is None:
            return ""
        if code >= 0:
            return f"ended by itself (exit code {code})"
        names = {each.value: each.name for each in signal.Signals}
        return f"was ended by {names.get(-code, f'signal {-code}')}"

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

"""Whether this worker's engine is well, in one place, for heartbeats and for claiming.

Asking the engine is done by the agent; what to do about an unwell worker is the server's decision.
"""

from __future__ import annotations

from typing import Final

FAILURES_BEFORE_ILL: Final = 3


class Health:
    """Counts the engine's failures in a row; remembers what can never be well again."""

    def __init__(self) -> None:
        self._failures = 0
        self._last = ""
        self._quarantine = ""

    @property
    def problem(self) -> str:
        """What is wrong, in words; "" when all is well."""
        if self._quarantine:
            return self._quarantine
        return self._last if self._failures >= FAILURES_BEFORE_ILL else ""

    def worked(self) -> None:
        """The engine has answered."""
        self._failures = 0

    def failed(self, why: str) -> None:
        """The engine has not."""
        self._failures += 1
        self._last = why

    def quarantine(self, why: str) -> None:
        """Something is stuck that only a person can free, such as a container that does not die."""
        self._quarantine = why

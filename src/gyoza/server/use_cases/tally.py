"""What happens rarely and matters when it does: counted, and where it says something, logged.

A simulator or a chaos run that never met one of these has proved nothing about it. Counts are of
this process since its start; a transaction that is run again counts again.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Any, Literal, TypeAlias

import structlog

Rare: TypeAlias = Literal[
    "amnesty used",
    "attempt preempted",
    "brake held",
    "cancel beat complete",
    "complete beat cancel",
    "container adopted",
    "duplicate claim answered",
    "gpu quarantined",
    "lease expired",
    "poison run ended",
    "result answered again",
    "stale write refused",
]

_log = structlog.stdlib.get_logger("gyoza.server.use_cases")


class Tally:
    """Counts by name; safe in any thread."""

    def __init__(self) -> None:
        self._counts: Counter[Rare] = Counter()
        self._lock = Lock()

    @property
    def counts(self) -> dict[Rare, int]:
        """What was counted so far; what never happened is absent."""
        with self._lock:
            return dict(self._counts)

    def count(self, what: Rare) -> None:
        """Count one, silently."""
        with self._lock:
            self._counts[what] += 1

    def note(self, what: Rare, **facts: Any) -> None:
        """Count one and log it with its facts."""
        self.count(what)
        _log.info(what, **facts)

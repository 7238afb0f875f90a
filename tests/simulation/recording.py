"""What is written down while a world lives: one dictionary per fact, in order, with its time.

The checker and the counters read nothing else. Kinds and members are listed in
docs/architecture/proof.md; chaos runs write the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


class Recorder:
    """Collects records, stamped by a clock.

    Args:
        now_us: Microseconds of the world's time.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.now_us = now_us
        self.records: list[Record] = []

    def note(self, kind: str, **facts: Any) -> Record:
        """Write one fact down; the record may be completed later, when its outcome is known."""
        record = {"t": self.now_us(), "kind": kind, **facts}
        self.records.append(record)
        return record


def as_text(records: list[Record]) -> str:
    """The records as JSON lines, the same text for the same records."""
    return "".join(json.dumps(each, sort_keys=True, default=str) + "\n" for each in records)

"""What is wrong with the lines of an op's `events.jsonl`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gyoza.op import protocol
from gyoza.worker.op_events import parse

_PREFIX = f"{protocol.EVENTS_FILE}: "


def event_problems(lines: Sequence[bytes]) -> list[str]:
    """Return, with its line number, why each refused line is no event."""
    found: list[str] = []
    for number, line in enumerate(lines, 1):
        event = parse(line)
        words = str(event.msg)
        # A refused line becomes an ERROR whose words begin with the file's name.
        if event.type == "ERROR" and words.startswith(_PREFIX):
            found.append(f"line {number}: {words.removeprefix(_PREFIX)}")
    return found


def regressions(lines: Sequence[bytes]) -> list[str]:
    """Return where progress goes back."""
    found: list[str] = []
    reached = 0
    for number, line in enumerate(lines, 1):
        event = parse(line)
        if event.type != "PROGRESS":
            continue
        percent = int(event.msg)
        if percent < reached:
            found.append(f"line {number}: from {reached} to {percent}")
        reached = max(reached, percent)
    return found

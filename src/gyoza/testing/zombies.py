"""Dead children that nobody waited for, found in this machine's own list of processes.

The engine does not tell of them: a process that is dead has left its control group. Where the
engine is on another machine nothing is found, and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from gyoza.testing.engine import Process

_PROC: Final = Path("/proc")
_DEAD: Final = "Z"


def dead_children(parents: Collection[int], proc: Path = _PROC) -> list[Process]:
    """Return the dead children of some processes.

    Args:
        parents: Process ids on this machine.
        proc: Where the kernel tells of processes: proc(5).
    """
    found: list[Process] = []
    for entry in proc.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            each = _process(entry.read_text(errors="replace"))
            if each.state == _DEAD and each.parent in parents:
                found.append(each)
    return found


def _process(line: str) -> Process:
    # The name stands in parentheses and may hold anything, parentheses among it.
    pid, _, rest = line.partition(" (")
    name, _, fields = rest.rpartition(") ")
    state, parent = fields.split()[:2]
    return Process(int(pid), int(parent), state, name)

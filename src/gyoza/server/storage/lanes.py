"""Lanes: pending runs that are interchangeable but for their age, under one short name.

Runs of one priority, op, owner, shape and image stand in one lane, oldest first. What holds its
head back holds the whole lane back, so the planner reads the heads of all lanes and, of those that
find room, as many runs as there is room for: however many wait, it reads only what it can use. A
lane's name begins with its priority, highest first, so that a walk over the names meets urgent
lanes first; then come its op and its owner, so that a walk passes lanes that a limit holds back
without a look at their runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from gyoza.models import OpRun, OpRunState
from gyoza.wire import strict_json

AWAITING_RUNS: Final = "AWAITING_RUNS"
"""Phase of a pending run that comes after runs which have not ended."""
AWAITING_KEY: Final = "AWAITING_KEY"
"""Phase of a pending run whose concurrency key is full."""

# Beyond every priority a 64-bit column can hold, so that the name's first part is never negative.
_ABOVE_ALL: Final = 10**19
_DIGEST_BYTES: Final = 10
_NAME_BYTES: Final = 6


class Barred:
    """Lanes that no run may leave at present, whatever room there is.

    Args:
        ops: Ops that are paused or run as often as they may.
        owners: Owners who have as much as they may.
    """

    def __init__(self, ops: Iterable[str] = (), owners: Iterable[str | None] = ()) -> None:
        self._ops = {_digest(op, _NAME_BYTES) for op in ops}
        self._owners = {_digest(owner, _NAME_BYTES) for owner in owners}

    def holds(self, lane: str) -> bool:
        """Whether the lane of this name is barred."""
        # A lane from before names had parts is that of one run, until its next change.
        _, op, owner, *_ = (*lane.split("-"), "", "")
        return op in self._ops or owner in self._owners


def lane_of(run: OpRun) -> str:
    """Return the name of the lane that the run would stand in, 67 ASCII characters."""
    needs = run.current_attempt.constraints if run.attempts else run.constraints
    selectors = sorted(run.execution.selectors.items())
    image = run.image_digest or run.image
    alike = [needs.cpu, needs.ram_mb, needs.vram_mb, selectors, run.op_version, image]
    op, owner = _digest(run.op_definition, _NAME_BYTES), _digest(run.owner, _NAME_BYTES)
    return f"{_ABOVE_ALL - run.priority:020d}-{op}-{owner}-{_digest(alike, _DIGEST_BYTES)}"


def awaits_of(run: OpRun) -> str | None:
    """Return why the run stands beside the queue although it waits; None when it stands in it."""
    beside = run.state is OpRunState.PENDING and run.phase in (AWAITING_RUNS, AWAITING_KEY)
    return run.phase if beside else None


def key_of(run: OpRun) -> str | None:
    """Return the concurrency key that a run shares; None when it shares none."""
    return (run.execution.concurrency or {}).get("key")


def stand_in_line(run: OpRun, now: datetime) -> None:
    """Have a run with a key that is about to be written wait for it, if it is to wait now.

    What is delayed comes to wait when it is due, and what comes after other runs once they ended.
    """
    due = run.due_at is None or run.due_at <= now
    if run.state is OpRunState.PENDING and due and key_of(run) and awaits_of(run) is None:
        run.phase = AWAITING_KEY


def _digest(value: Any, size: int) -> str:
    return blake2b(strict_json.dumps(value), digest_size=size).hexdigest()

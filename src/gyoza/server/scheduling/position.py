"""Where a run stands: how many come before it, in the planner's own order, and which are next.

The order is that of `turns`, as if everything before the run found a place. What is counted is what
was read; where more stands behind than was read, the count says "at least".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gyoza.server.scheduling.snapshot import PendingRun, Snapshot
from gyoza.server.scheduling.turns import Turns

SHOWN = 5


class Position(NamedTuple):
    """How many runs come before one.

    Attributes:
        ahead: How many, or how many at least.
        exact: Whether they are all.
        first: The next few of them, in their order.
    """

    ahead: int
    exact: bool
    first: tuple[PendingRun, ...]


def position_of(run_id: str, snapshot: Snapshot, cut: Collection[str] = ()) -> Position:
    """Count the runs whose turn comes before a run's.

    Args:
        run_id: The run; one of the snapshot's.
        snapshot: What waits.
        cut: Runs behind which more of their kind wait that were not read.
    """
    before: list[PendingRun] = []
    turns = Turns(snapshot)
    for lane in turns:
        if lane.head.run_id == run_id:
            return Position(len(before), exact=True, first=tuple(before[:SHOWN]))
        before.append(lane.head)
        if lane.head.run_id in cut:
            break
        turns.placed(lane)
    return Position(len(before), exact=False, first=tuple(before[:SHOWN]))

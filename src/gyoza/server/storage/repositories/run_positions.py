"""How many runs stand before one in its lane: a bounded walk over the index of the queue."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, func, or_, select, text

from gyoza.models import OpRun
from gyoza.server.storage.instants import to_us
from gyoza.server.storage.lanes import lane_of
from gyoza.server.storage.schema import READY, op_runs
from gyoza.server.storage.transaction import Transaction

_OLDER: Final = or_(
    op_runs.c.created_us < bindparam("created"),
    (op_runs.c.created_us == bindparam("created")) & (op_runs.c.id < bindparam("run")),
)
BEFORE_IN_LANE: Final = (
    select(op_runs.c.id)
    .where(
        text(READY),
        op_runs.c.lane == bindparam("lane"),
        # Said twice, so that the walk over the index ends here.
        op_runs.c.created_us <= bindparam("created"),
        _OLDER,
    )
    .limit(bindparam("count"))
)
_AHEAD: Final = select(func.count()).select_from(BEFORE_IN_LANE.subquery())


def ahead_in_lane(transaction: Transaction, run: OpRun, limit: int) -> int:
    """Count the older runs of the run's lane, up to a limit."""
    given = {
        "lane": lane_of(run),
        "created": to_us(run.created_at),
        "run": run.id,
        "count": limit,
    }
    return transaction.connection.execute(_AHEAD, given).scalar_one()

"""Where a run stands: in its lane, and behind other runs; all by indexes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, func, or_, select, text

from gyoza.models import OpRun
from gyoza.server.storage.instants import to_us
from gyoza.server.storage.lanes import lane_of
from gyoza.server.storage.planning_schema import run_dependencies
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
_COMES_AFTER: Final = (
    select(run_dependencies.c.after_id)
    .where(run_dependencies.c.run_id == bindparam("run"))
    .order_by(run_dependencies.c.after_id)
    .limit(bindparam("count"))
)


def comes_after(transaction: Transaction, run_id: str, limit: int) -> list[str]:
    """Return the runs which a run comes after and that have not ended, up to a limit."""
    given = {"run": run_id, "count": limit}
    return list(transaction.connection.execute(_COMES_AFTER, given).scalars())


def ahead_in_lane(transaction: Transaction, run: OpRun, limit: int) -> int:
    """Count the older runs of the run's lane, up to a limit."""
    given = {
        "lane": lane_of(run),
        "created": to_us(run.created_at),
        "run": run.id,
        "count": limit,
    }
    return transaction.connection.execute(_AHEAD, given).scalar_one()

"""The queue: what waits, becomes due, is overdue or ended long ago; each by an index of its own.

Runs due at once are in the queue proper, by lane (see `lanes.py`) and age; delayed ones wait beside
it by due time, until `ripen` lets them in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, exists, func, or_, select, text, update

from gyoza.server.storage.instants import from_us, maybe_from_us, to_us
from gyoza.server.storage.lanes import AWAITING_KEY, Barred
from gyoza.server.storage.planning_schema import run_dependencies
from gyoza.server.storage.records import Overdue, PendingRun
from gyoza.server.storage.repositories.run_rows import from_text
from gyoza.server.storage.schema import DELAYED, ENDED, READY, op_runs, reservations
from gyoza.server.storage.transaction import Transaction

# The conditions are the indexes' own words: in others the planner would not know them again.
_READY: Final = text(READY)
# Let in when it was due, and not due any more: the clock was set back.
_DUE: Final = or_(op_runs.c.due_us.is_(None), op_runs.c.due_us <= bindparam("now"))
_WAITING: Final = select(
    op_runs.c.id,
    op_runs.c.lane,
    op_runs.c.priority,
    op_runs.c.created_us,
    op_runs.c.cpu,
    func.coalesce(op_runs.c.raised_ram_mb, op_runs.c.ram_mb),
    func.coalesce(op_runs.c.raised_vram_mb, op_runs.c.vram_mb),
    op_runs.c.selectors,
    op_runs.c.owner,
    op_runs.c.op_definition,
    op_runs.c.op_version,
    func.coalesce(op_runs.c.image_digest, op_runs.c.image),
)


def _lane_names() -> Select[tuple[str]]:
    """The names of the lanes, by a walk that looks into the index once per lane."""
    name = op_runs.c.lane
    first = select(func.min(name)).where(_READY, name > bindparam("after")).scalar_subquery()
    walk = select(first.label("lane")).cte("lanes", recursive=True)
    following = select(func.min(name)).where(_READY, name > walk.c.lane).correlate(walk)
    step = select(following.scalar_subquery()).where(walk.c.lane.is_not(None))
    lanes = walk.union_all(step)
    return select(lanes.c.lane).where(lanes.c.lane.is_not(None)).limit(bindparam("count"))


LANES: Final = _lane_names()
LANE: Final = (
    _WAITING.where(_READY, _DUE, op_runs.c.lane == bindparam("lane"))
    .order_by(op_runs.c.created_us, op_runs.c.id)
    .limit(bindparam("count"))
)
RIPEN: Final = (
    update(op_runs)
    .where(text(DELAYED), op_runs.c.held_until_us <= bindparam("now"))
    .values(held_until_us=None)
)
# Those with a key first come to wait for it: not all of them may be let in.
_RIPE: Final = (text(DELAYED), op_runs.c.held_until_us <= bindparam("now"))
RIPE_KEYS: Final = (
    select(op_runs.c.concurrency_key)
    .where(*_RIPE, op_runs.c.concurrency_key.is_not(None), op_runs.c.awaits.is_(None))
    .distinct()
)
_AWAIT_KEY: Final = (
    update(op_runs)
    .where(*_RIPE, op_runs.c.concurrency_key.is_not(None), op_runs.c.awaits.is_(None))
    .values(awaits=AWAITING_KEY, phase=AWAITING_KEY)
)
NEXT_DUE: Final = select(func.min(op_runs.c.held_until_us)).where(text(DELAYED))
TOTAL_OVERDUE: Final = (
    select(op_runs.c.id)
    .where(
        op_runs.c.total_deadline_us <= bindparam("now"),
        # Whose worker is asked to stop already waits for it, and may not hide the others.
        op_runs.c.cancel_requested_us.is_(None),
    )
    .order_by(op_runs.c.total_deadline_us)
    .limit(bindparam("count"))
)
QUEUE_OVERDUE: Final = (
    select(op_runs.c.id)
    .where(op_runs.c.queue_deadline_us <= bindparam("now"))
    .order_by(op_runs.c.queue_deadline_us)
    .limit(bindparam("count"))
)

OLDEST_ENDED: Final = (
    select(op_runs.c.id)
    .where(
        text(ENDED),
        op_runs.c.ended_us < bindparam("before"),
        # How it ended is still to be told to those who wait for it.
        ~exists().where(run_dependencies.c.after_id == op_runs.c.id),
    )
    .order_by(op_runs.c.ended_us)
    .limit(bindparam("count"))
)
_PRUNE: Final = delete(op_runs).where(op_runs.c.id.in_(OLDEST_ENDED))
# A lost attempt may have kept a place for as long as its run was kept.
_PRUNED_KEYS: Final = (
    select(reservations.c.concurrency_key)
    .where(reservations.c.run_id.in_(OLDEST_ENDED), text("freed_us IS NULL"))
    .distinct()
)


def lane_heads(
    transaction: Transaction, limit: int, now: datetime, barred: Barred
) -> list[PendingRun]:
    """The first run of each lane, lanes of high priority first; at most so many lanes.

    Lanes that are barred are passed by, and do not count.
    """
    found: list[str] = []
    after = ""
    while len(found) < limit:
        given = {"count": limit, "after": after}
        names = [row.lane for row in transaction.connection.execute(LANES, given)]
        found += (name for name in names if not barred.holds(name))
        if len(names) < limit:
            break
        after = names[-1]
    return [run for name in found[:limit] for run in lane(transaction, name, 1, now)]


def lane(transaction: Transaction, name: str, limit: int, now: datetime) -> list[PendingRun]:
    """The first runs of a lane, oldest first."""
    given = {"lane": name, "count": limit, "now": to_us(now)}
    return [_pending(row) for row in transaction.connection.execute(LANE, given)]


def ripen(transaction: Transaction, now: datetime) -> int:
    """Let delayed runs whose time has come into the queue proper, or to their keys."""
    given = {"now": to_us(now)}
    keys = list(transaction.connection.execute(RIPE_KEYS, given).scalars())
    if keys:
        transaction.connection.execute(_AWAIT_KEY, given)
    for key in keys:
        transaction.touch_key(key)
    return transaction.connection.execute(RIPEN, given).rowcount


def next_due(transaction: Transaction) -> datetime | None:
    """When the next delayed run becomes due."""
    return maybe_from_us(transaction.connection.execute(NEXT_DUE).scalar())


def overdue(transaction: Transaction, now: datetime, limit: int) -> list[Overdue]:
    """Runs past a deadline of the server's own that nobody was asked to stop yet."""
    given = {"now": to_us(now), "count": limit}
    total = list(transaction.connection.execute(TOTAL_OVERDUE, given).scalars())
    queue = transaction.connection.execute(QUEUE_OVERDUE, given).scalars()
    known = set(total)
    found = [Overdue(run_id, "TOTAL") for run_id in total]
    found += [Overdue(run_id, "QUEUE") for run_id in queue if run_id not in known]
    return found[:limit]


def prune_ended(transaction: Transaction, before: datetime, limit: int) -> int:
    """Delete runs that ended before the moment, with all that hangs on them, oldest first."""
    given = {"before": to_us(before), "count": limit}
    for key in list(transaction.connection.execute(_PRUNED_KEYS, given).scalars()):
        transaction.touch_key(key)
    return transaction.connection.execute(_PRUNE, given).rowcount


def _pending(row: Any) -> PendingRun:
    # Unpacked by position, in the statement's order: by name costs twice as much.
    run_id, lane_name, priority, created_us, cpu, ram_mb, vram_mb, selectors, *whose = row
    return PendingRun(
        run_id,
        lane_name,
        priority,
        from_us(created_us),
        cpu,
        ram_mb,
        vram_mb,
        from_text(selectors),
        *whose,
    )

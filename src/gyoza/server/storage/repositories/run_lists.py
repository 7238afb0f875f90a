"""Lists of runs as people ask for them: filtered, newest first, by keyset pages; and counts."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from gyoza.models import OpRun, OpRunState
from gyoza.server.storage.instants import to_us
from gyoza.server.storage.records import RunFilter
from gyoza.server.storage.schema import op_attempts, op_runs, run_tags
from gyoza.server.storage.transaction import Transaction


def position(run: OpRun) -> str:
    """Where the run stands in the order of the pages."""
    return f"{to_us(run.created_at)}.{run.id}"


def page_of_ids(
    transaction: Transaction, wanted: RunFilter, after: str | None, limit: int
) -> list[str]:
    """Ids of the runs that match, newest first, below the position.

    Raises:
        ValueError: `after` is no position.
    """
    statement = (
        select(op_runs.c.id)
        .where(*_conditions(wanted))
        .order_by(op_runs.c.created_us.desc(), op_runs.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(_below(after))
    return list(transaction.connection.execute(statement).scalars())


def count_by_state(transaction: Transaction) -> dict[OpRunState, int]:
    """How many runs there are in each state; every state is named."""
    statement = select(op_runs.c.state, func.count()).group_by(op_runs.c.state)
    rows = transaction.connection.execute(statement)
    counts = {state: count for state, count in rows}  # noqa: C416 - rows are no pairs to dict()
    return {state: counts.get(state.value, 0) for state in OpRunState}


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    equal = {
        op_runs.c.op_definition: wanted.op,
        op_runs.c.owner: wanted.owner,
        op_runs.c.batch_id: wanted.batch,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.states:
        found.append(op_runs.c.state.in_([state.value for state in wanted.states]))
    if wanted.created_before is not None:
        found.append(op_runs.c.created_us < to_us(wanted.created_before))
    if wanted.worker is not None:
        found.append(_runs_on(wanted.worker))
    return found + [_has_tag(key, value) for key, value in wanted.tags]


def _runs_on(worker_id: str) -> ColumnElement[bool]:
    return exists().where(
        op_attempts.c.run_id == op_runs.c.id,
        op_attempts.c.attempt == op_runs.c.attempt,
        op_attempts.c.worker_id == worker_id,
    )


def _has_tag(key: str, value: str) -> ColumnElement[bool]:
    return exists().where(
        run_tags.c.run_id == op_runs.c.id, run_tags.c.key == key, run_tags.c.value == value
    )


def _below(after: str) -> ColumnElement[bool]:
    created, _, run_id = after.partition(".")
    created_us = int(created)
    return and_(
        op_runs.c.created_us <= created_us,
        or_(op_runs.c.created_us < created_us, op_runs.c.id < run_id),
    )

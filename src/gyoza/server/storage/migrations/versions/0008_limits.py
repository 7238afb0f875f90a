"""Indexes for limits: who is next of a concurrency key, and how much an owner has waiting.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_AWAITING = sa.text("awaits = 'AWAITING_KEY'")
_READY = sa.text(
    "queued_us IS NOT NULL AND held_until_us IS NULL AND awaits IS NULL"
    " AND concurrency_key IS NOT NULL"
)
_QUEUED = sa.text("queued_us IS NOT NULL")
_KEYED = sa.text("queued_us IS NOT NULL AND concurrency_key IS NOT NULL")


def upgrade() -> None:
    """One index for who waits for a key, in the order of their turns, one for who does not."""
    op.drop_index("ix_op_runs_key", table_name="op_runs")
    order = ["concurrency_key", sa.text("priority DESC"), "created_us", "id"]
    _index("ix_op_runs_awaiting_key", order, _AWAITING)
    _index("ix_op_runs_ready_key", ["concurrency_key"], _READY)
    _index("ix_op_runs_queued_owner", ["owner"], _QUEUED)


def downgrade() -> None:
    """Back to one index over all that wait and have a key."""
    for name in ("ix_op_runs_queued_owner", "ix_op_runs_ready_key", "ix_op_runs_awaiting_key"):
        op.drop_index(name, table_name="op_runs")
    _index("ix_op_runs_key", ["concurrency_key", "lane", "created_us"], _KEYED)


def _index(name: str, columns: list[str | sa.TextClause], condition: sa.TextClause) -> None:
    op.create_index(name, "op_runs", columns, sqlite_where=condition, postgresql_where=condition)

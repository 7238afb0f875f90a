"""Pending runs stand in lanes; the queue's index walks them instead of the whole queue.

Runs that wait while this is carried out get a lane of their own, by their id: they are placed as
before and take a common lane with their next change.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_READY = sa.text("queued_us IS NOT NULL AND held_until_us IS NULL")
_LANE = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column and change the index."""
    op.add_column("op_runs", sa.Column("lane", _LANE, server_default=sa.text("''"), nullable=False))
    op.execute("UPDATE op_runs SET lane = id WHERE queued_us IS NOT NULL")
    op.drop_index("ix_op_runs_ready", table_name="op_runs")
    op.create_index(
        "ix_op_runs_ready",
        "op_runs",
        ["lane", "created_us", "id"],
        sqlite_where=_READY,
        postgresql_where=_READY,
    )


def downgrade() -> None:
    """Walk the queue by priority again."""
    op.drop_index("ix_op_runs_ready", table_name="op_runs")
    op.create_index(
        "ix_op_runs_ready",
        "op_runs",
        [sa.text("priority DESC"), "created_us", "id"],
        sqlite_where=_READY,
        postgresql_where=_READY,
    )
    op.drop_column("op_runs", "lane")

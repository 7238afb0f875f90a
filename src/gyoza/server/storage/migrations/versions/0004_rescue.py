"""When the control plane last lived outlives it; an attempt may need more memory than was asked.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the pulse's table, whose one row comes with the first tick, and the runs' columns."""
    op.create_table(
        "pulse",
        sa.Column("singleton", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ticked_us", sa.BigInteger(), nullable=False),
        sa.Column("amnesty_until_us", sa.BigInteger()),
        sa.Column("brake_until_us", sa.BigInteger()),
        sa.CheckConstraint("singleton = 1", name=op.f("ck_pulse_singleton")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("pk_pulse")),
    )
    op.add_column("op_runs", sa.Column("raised_ram_mb", sa.BigInteger()))
    op.add_column("op_runs", sa.Column("raised_vram_mb", sa.BigInteger()))


def downgrade() -> None:
    """Drop both; the next start begins with an amnesty."""
    op.drop_column("op_runs", "raised_vram_mb")
    op.drop_column("op_runs", "raised_ram_mb")
    op.drop_table("pulse")

"""What containers take whose runs the database does not know: room that is not free.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what is in limbo already takes nothing until it is named again."""
    op.add_column("limbo", sa.Column("run_id", sa.String(), server_default="", nullable=False))
    for name in ("fence", "cpu", "ram_mb", "vram_mb"):
        nothing = sa.text("0")
        column = sa.Column(name, sa.BigInteger(), server_default=nothing, nullable=False)
        op.add_column("limbo", column)
    op.add_column("limbo", sa.Column("gpu_uuid", sa.String()))


def downgrade() -> None:
    """Forget what they take."""
    for name in ("gpu_uuid", "vram_mb", "ram_mb", "cpu", "fence", "run_id"):
        op.drop_column("limbo", name)

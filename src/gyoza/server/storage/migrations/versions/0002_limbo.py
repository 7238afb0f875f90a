"""Containers whose runs the database does not know are remembered, since when they are.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "limbo",
        sa.Column("worker_id", _ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", "name", name=op.f("pk_limbo")),
    )


def downgrade() -> None:
    """Drop the table; containers in limbo begin to wait anew."""
    op.drop_table("limbo")

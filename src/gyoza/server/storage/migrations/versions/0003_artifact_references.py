"""Which runs name which files, and when a file was last used.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add both."""
    op.add_column(
        "artifacts",
        sa.Column("used_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.execute("UPDATE artifacts SET used_us = created_us")
    op.create_index("ix_artifacts_used_us", "artifacts", ["used_us"])
    op.create_table(
        "run_references",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["artifacts.sha256"], name="fk_run_references_sha256"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["op_runs.id"], name="fk_run_references_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", "run_id", name="pk_run_references"),
    )
    op.create_index("ix_run_references_run_id", "run_references", ["run_id"])

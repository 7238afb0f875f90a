"""What owners had of the fleet lately; what a schedule does while its last run is not over.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """One table more, and one column and its check."""
    op.create_table(
        "owner_use",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("used", sa.Float(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_owner_use")),
    )
    _make_schedules(
        sa.Column("overlap", sa.String(), server_default=sa.text("'allow'"), nullable=False),
        sa.CheckConstraint("overlap IN ('allow', 'skip')", name=op.f("ck_schedules_overlap")),
    )


def downgrade() -> None:
    """Forget both."""
    _make_schedules()
    op.drop_table("owner_use")


def _make_schedules(*more: sa.Column[str] | sa.CheckConstraint) -> None:
    # Nothing had come to write schedules, so the table is made anew rather than altered.
    op.drop_table("schedules")
    op.create_table(
        "schedules",
        sa.Column("name", _ID, nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("catch_up", sa.String(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("next_us", sa.BigInteger()),
        sa.Column("last_us", sa.BigInteger()),
        sa.Column("last_run_id", _ID),
        sa.Column("problem", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schedules")),
        sa.CheckConstraint(
            "catch_up IN ('skip', 'one', 'all')", name=op.f("ck_schedules_catch_up")
        ),
        *more,
    )
    op.create_index(
        "ix_schedules_next_us",
        "schedules",
        ["next_us"],
        sqlite_where=sa.text("next_us IS NOT NULL AND paused = 0"),
        postgresql_where=sa.text("next_us IS NOT NULL AND NOT paused"),
    )

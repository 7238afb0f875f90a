"""What the planner needs beyond resources: keys, quotas, run times, order between runs, the clock.

Lanes have got another form of name; runs that wait while this is carried out keep a lane of their
own, by their id, until their next change.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE = sa.text("queued_us IS NOT NULL AND held_until_us IS NULL")
_READY = sa.text("queued_us IS NOT NULL AND held_until_us IS NULL AND awaits IS NULL")
_KEYED = sa.text("queued_us IS NOT NULL AND concurrency_key IS NOT NULL")
_KEY_HELD = sa.text("freed_us IS NULL AND concurrency_key IS NOT NULL")
_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns, change the queue's index and make the tables."""
    _columns()
    op.execute("UPDATE op_runs SET lane = id WHERE queued_us IS NOT NULL")
    _queue_index(_READY)
    _index("ix_op_runs_key", "op_runs", ["concurrency_key", "lane", "created_us"], _KEYED)
    _index("ix_reservations_key", "reservations", ["concurrency_key"], _KEY_HELD)
    _limits()
    _order()
    _clock()


def downgrade() -> None:
    """Forget all of it; runs that stood beside the queue are in it again."""
    for table in ("gpu_records", "schedules", "run_dependencies", "run_times", "quotas"):
        op.drop_table(table)
    op.drop_index("ix_reservations_key", table_name="reservations")
    op.drop_index("ix_op_runs_key", table_name="op_runs")
    _queue_index(_BEFORE)
    op.drop_column("workers", "images")
    op.drop_column("reservations", "concurrency_key")
    for column in ("preemptible", "concurrency_limit", "concurrency_key", "awaits"):
        op.drop_column("op_runs", column)


def _columns() -> None:
    op.add_column("op_runs", sa.Column("awaits", sa.String()))
    op.add_column("op_runs", sa.Column("concurrency_key", sa.String()))
    op.add_column("op_runs", sa.Column("concurrency_limit", sa.BigInteger()))
    op.add_column(
        "op_runs",
        sa.Column("preemptible", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("reservations", sa.Column("concurrency_key", sa.String()))
    op.add_column(
        "workers", sa.Column("images", sa.Text(), server_default=sa.text("'[]'"), nullable=False)
    )


def _queue_index(condition: sa.TextClause) -> None:
    op.drop_index("ix_op_runs_ready", table_name="op_runs")
    _index("ix_op_runs_ready", "op_runs", ["lane", "created_us", "id"], condition)


def _index(name: str, table: str, columns: list[str], condition: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _limits() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("max_queued", sa.BigInteger()),
        sa.Column("max_active", sa.BigInteger()),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_quotas")),
    )
    op.create_table(
        "run_times",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("log_mean", sa.Float(), nullable=False),
        sa.Column("log_variance", sa.Float(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_run_times")),
    )
    op.create_table(
        "gpu_records",
        sa.Column("worker_id", _ID, nullable=False),
        sa.Column("gpu_uuid", sa.String(), nullable=False),
        sa.Column("failed", sa.Text(), nullable=False),
        sa.Column("quarantined_us", sa.BigInteger()),
        sa.Column("why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", "gpu_uuid", name=op.f("pk_gpu_records")),
    )


def _order() -> None:
    op.create_table(
        "run_dependencies",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("after_id", _ID, nullable=False),
        sa.Column("condition", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "after_id", name=op.f("pk_run_dependencies")),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["op_runs.id"],
            name=op.f("fk_run_dependencies_run_id"),
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "condition IN ('success', 'any')", name=op.f("ck_run_dependencies_condition")
        ),
    )
    op.create_index("ix_run_dependencies_after_id", "run_dependencies", ["after_id"])


def _clock() -> None:
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
    )
    op.create_index(
        "ix_schedules_next_us",
        "schedules",
        ["next_us"],
        sqlite_where=sa.text("next_us IS NOT NULL AND paused = 0"),
        postgresql_where=sa.text("next_us IS NOT NULL AND NOT paused"),
    )

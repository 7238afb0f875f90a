"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Ids compare by code point on every engine; SQLite's only self-counting key is INTEGER.
_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_EVENT_TYPES = (
    "'ASSIGNED', 'CANCELLED', 'COMPLETED', 'ERROR', 'FAILED', "
    "'INFO', 'PROGRESS', 'RELEASED', 'RETRIED', 'STARTED'"
)
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table with its indexes."""
    _make_artifacts()
    _make_cluster()
    _make_idempotency()
    _make_op_runs()
    _make_ops()
    _make_workers()
    _make_events()
    _make_op_attempts()
    _make_op_definitions()
    _make_reservations()
    _make_run_artifacts()
    _make_run_tags()
    _make_logs()
    _make_outbox()


def downgrade() -> None:
    """Refuse: before this there was nothing to go back to.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("0001 is the first schema; delete the database to be rid of it")


def _only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _make_artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_artifacts")),
    )


def _make_cluster() -> None:
    op.create_table(
        "cluster",
        sa.Column("singleton", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", _ID, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("singleton = 1", name=op.f("ck_cluster_singleton")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("pk_cluster")),
    )


def _make_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_created_us", "idempotency", ["created_us"])


def _make_op_runs() -> None:
    op.create_table(
        "op_runs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("image_digest", sa.Text()),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("cpu", sa.BigInteger()),
        sa.Column("ram_mb", sa.BigInteger()),
        sa.Column("vram_mb", sa.BigInteger()),
        sa.Column("retry_policy", sa.Text(), nullable=False),
        sa.Column("event_delivery", sa.Text(), nullable=False),
        sa.Column("execution", sa.Text(), nullable=False),
        sa.Column("op_definition", _ID),
        sa.Column("op_version", sa.String()),
        sa.Column("owner", sa.String()),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("batch_id", _ID),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger()),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("selectors", sa.Text(), nullable=False),
        sa.Column("queued_us", sa.BigInteger()),
        sa.Column("held_until_us", sa.BigInteger()),
        sa.Column("queue_deadline_us", sa.BigInteger()),
        sa.Column("total_deadline_us", sa.BigInteger()),
        sa.Column("ended_us", sa.BigInteger()),
        sa.Column("cancel_reason", sa.String()),
        sa.Column("cancel_message", sa.Text()),
        sa.Column("cancel_requested_us", sa.BigInteger()),
        sa.CheckConstraint(
            "(ended_us IS NULL) = (state IN ('PENDING', 'ASSIGNED', 'RUNNING'))",
            name=op.f("ck_op_runs_ended"),
        ),
        sa.CheckConstraint(
            "(queued_us IS NOT NULL) = (state = 'PENDING')", name=op.f("ck_op_runs_queued")
        ),
        sa.CheckConstraint(
            "state IN ('ASSIGNED', 'CANCELLED', 'COMPLETED', 'FAILED', 'PENDING', 'RUNNING')",
            name=op.f("ck_op_runs_state"),
        ),
        sa.CheckConstraint(
            "held_until_us IS NULL OR queued_us IS NOT NULL", name=op.f("ck_op_runs_held_until")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_op_runs")),
    )
    op.create_index(
        "ix_op_runs_batch",
        "op_runs",
        ["batch_id", "created_us"],
        **_only_where("batch_id IS NOT NULL"),
    )
    op.create_index("ix_op_runs_created", "op_runs", ["created_us", "id"])
    op.create_index(
        "ix_op_runs_delayed",
        "op_runs",
        ["held_until_us"],
        **_only_where("held_until_us IS NOT NULL"),
    )
    op.create_index(
        "ix_op_runs_ended", "op_runs", ["ended_us"], **_only_where("ended_us IS NOT NULL")
    )
    op.create_index("ix_op_runs_op", "op_runs", ["op_definition", "created_us", "id"])
    op.create_index(
        "ix_op_runs_owner", "op_runs", ["owner", "created_us"], **_only_where("owner IS NOT NULL")
    )
    op.create_index(
        "ix_op_runs_queue_deadline",
        "op_runs",
        ["queue_deadline_us"],
        **_only_where("queue_deadline_us IS NOT NULL"),
    )
    op.create_index(
        "ix_op_runs_ready",
        "op_runs",
        [sa.literal_column("priority DESC"), "created_us", "id"],
        **_only_where("queued_us IS NOT NULL AND held_until_us IS NULL"),
    )
    op.create_index("ix_op_runs_state", "op_runs", ["state", "created_us", "id"])
    op.create_index(
        "ix_op_runs_total_deadline",
        "op_runs",
        ["total_deadline_us"],
        **_only_where("total_deadline_us IS NOT NULL"),
    )


def _make_ops() -> None:
    op.create_table(
        "ops",
        sa.Column("id", _ID, nullable=False),
        sa.Column("current_version", sa.String(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_parallel", sa.Integer()),
        sa.Column("archived_us", sa.BigInteger()),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ops")),
    )


def _make_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("machine_id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("boot_id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("runtime", sa.String(), nullable=False),
        sa.Column("cpu", sa.BigInteger(), nullable=False),
        sa.Column("ram_mb", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("registered_us", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("t_us", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("msg", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("type IN (" + _EVENT_TYPES + ")", name=op.f("ck_events_type")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["op_runs.id"], name=op.f("fk_events_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_events")),
    )


def _make_op_attempts() -> None:
    op.create_table(
        "op_attempts",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("inputs", sa.Text()),
        sa.Column("constraints", sa.Text()),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("worker_id", _ID),
        sa.Column("error_message", sa.Text()),
        sa.Column("gpu_id", sa.BigInteger()),
        sa.Column("started_us", sa.BigInteger()),
        sa.Column("finished_us", sa.BigInteger()),
        sa.Column("charged", sa.Boolean(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("exit_code", sa.BigInteger()),
        sa.Column("gpu_uuid", sa.String()),
        sa.Column("image_digest", sa.Text()),
        sa.Column("holder_id", _ID),
        sa.Column("holder_fence", sa.BigInteger()),
        sa.Column("opened_us", sa.BigInteger()),
        sa.Column("claim_id", sa.String()),
        sa.Column("claimed_us", sa.BigInteger()),
        sa.Column("lease_expires_us", sa.BigInteger()),
        sa.Column("event_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("result_digest", sa.String()),
        sa.Column("log_last", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_head_last", sa.BigInteger()),
        sa.Column("log_cut_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "state IN ('ASSIGNED', 'CANCELLED', 'COMPLETED', 'FAILED', 'PENDING', 'RUNNING')",
            name=op.f("ck_op_attempts_state"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["op_runs.id"], name=op.f("fk_op_attempts_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "attempt", name=op.f("pk_op_attempts")),
    )
    op.create_index(
        "ix_op_attempts_holder",
        "op_attempts",
        ["holder_id"],
        **_only_where("lease_expires_us IS NOT NULL"),
    )
    op.create_index(
        "ix_op_attempts_lease",
        "op_attempts",
        ["lease_expires_us"],
        **_only_where("lease_expires_us IS NOT NULL"),
    )
    op.create_index(
        "ix_op_attempts_unclaimed",
        "op_attempts",
        ["opened_us"],
        **_only_where("lease_expires_us IS NOT NULL AND claimed_us IS NULL"),
    )
    op.create_index("ix_op_attempts_worker", "op_attempts", ["worker_id", "run_id"])
    op.create_index(
        "uq_op_attempts_active",
        "op_attempts",
        ["run_id"],
        unique=True,
        **_only_where("state IN ('PENDING', 'ASSIGNED', 'RUNNING')"),
    )


def _make_op_definitions() -> None:
    op.create_table(
        "op_definitions",
        sa.Column("op_id", _ID, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["op_id"], ["ops.id"], name=op.f("fk_op_definitions_op_id")),
        sa.PrimaryKeyConstraint("op_id", "version", name=op.f("pk_op_definitions")),
        sa.UniqueConstraint("op_id", "number", name=op.f("uq_op_definitions_op_id_number")),
    )


def _make_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", _ID, nullable=False),
        sa.Column("cpu", sa.BigInteger(), nullable=False),
        sa.Column("ram_mb", sa.BigInteger(), nullable=False),
        sa.Column("vram_mb", sa.BigInteger(), nullable=False),
        sa.Column("gpu_uuid", sa.String()),
        sa.Column("reserved_us", sa.BigInteger(), nullable=False),
        sa.Column("freed_us", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["run_id"], ["op_runs.id"], name=op.f("fk_reservations_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "fence", name=op.f("pk_reservations")),
    )
    op.create_index(
        "ix_reservations_unfreed", "reservations", ["worker_id"], **_only_where("freed_us IS NULL")
    )


def _make_run_artifacts() -> None:
    op.create_table(
        "run_artifacts",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["op_runs.id"], name=op.f("fk_run_artifacts_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sha256"], ["artifacts.sha256"], name=op.f("fk_run_artifacts_sha256")
        ),
        sa.PrimaryKeyConstraint("run_id", "attempt", "name", name=op.f("pk_run_artifacts")),
    )
    op.create_index("ix_run_artifacts_sha256", "run_artifacts", ["sha256"])


def _make_run_tags() -> None:
    op.create_table(
        "run_tags",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["op_runs.id"], name=op.f("fk_run_tags_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", "value", "run_id", name=op.f("pk_run_tags")),
    )
    op.create_index("ix_run_tags_run_id", "run_tags", ["run_id"])


def _make_logs() -> None:
    op.create_table(
        "logs",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("t_us", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.CheckConstraint("stream IN ('stdout', 'stderr', 'system')", name=op.f("ck_logs_stream")),
        sa.ForeignKeyConstraint(
            ["run_id", "attempt"],
            ["op_attempts.run_id", "op_attempts.attempt"],
            name=op.f("fk_logs_run_id_attempt"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "attempt", "number", name=op.f("pk_logs")),
    )


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _COUNTER, autoincrement=True, nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("sent_us", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["run_id", "number"],
            ["events.run_id", "events.number"],
            name=op.f("fk_outbox_run_id_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint(
            "run_id", "number", "destination", name=op.f("uq_outbox_run_id_number_destination")
        ),
    )
    op.create_index(
        "ix_outbox_unsent", "outbox", ["destination", "id"], **_only_where("sent_us IS NULL")
    )

"""The tables, once, for every engine: what the statements are built from.

Migrations make them; a test holds both together. Times are integer microseconds (`_us`), users'
JSON is text, states are guarded by CHECK constraints that a test compares with the domain's
enumerations. Why there is no ORM: docs/decisions/0009-one-sqlite-writer-and-core-not-orm.md.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from gyoza.models import EventType, OpRunState

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Ids compare by code point on every engine, so that prefixes and keyset pages mean the same.
ID: Final = String().with_variant(String(collation="C"), "postgresql")
# SQLite's only self-counting key is INTEGER; 64 bits there anyway.
_COUNTER: Final = BigInteger().with_variant(Integer(), "sqlite")

ACTIVE: Final = "state IN ('PENDING', 'ASSIGNED', 'RUNNING')"
# Said without `state`, or SQLite takes the index on it, which has the wrong order.
READY: Final = "queued_us IS NOT NULL AND held_until_us IS NULL AND awaits IS NULL"
AWAITING_KEY: Final = "awaits = 'AWAITING_KEY'"
QUEUED: Final = "queued_us IS NOT NULL"
DELAYED: Final = "held_until_us IS NOT NULL"
ENDED: Final = "ended_us IS NOT NULL"
HELD: Final = "lease_expires_us IS NOT NULL"


def _one_of(column: str, kind: type[Enum]) -> str:
    names = ", ".join(sorted(f"'{member.value}'" for member in kind))
    return f"{column} IN ({names})"


def _only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


cluster: Final = Table(
    "cluster",
    metadata,
    Column("singleton", Integer, primary_key=True, autoincrement=False),
    Column("id", ID, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    CheckConstraint("singleton = 1", name="singleton"),
)

ops: Final = Table(
    "ops",
    metadata,
    Column("id", ID, primary_key=True),
    Column("current_version", String, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("max_parallel", Integer),
    Column("archived_us", BigInteger),
    Column("created_us", BigInteger, nullable=False),
)

op_definitions: Final = Table(
    "op_definitions",
    metadata,
    Column("op_id", ID, ForeignKey("ops.id"), nullable=False),
    Column("version", String, nullable=False),
    # 1, 2, 3 ... in the order in which the op's versions were registered.
    Column("number", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("op_id", "version"),
    UniqueConstraint("op_id", "number"),
)

op_runs: Final = Table(
    "op_runs",
    metadata,
    Column("id", ID, primary_key=True),
    # Raised by every change; the guard of `save`.
    Column("version", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("phase", String),
    Column("reason", String),
    Column("priority", BigInteger, nullable=False),
    Column("image", Text, nullable=False),
    Column("image_digest", Text),
    Column("inputs", Text, nullable=False),
    Column("cpu", BigInteger),
    Column("ram_mb", BigInteger),
    Column("vram_mb", BigInteger),
    # What the current attempt needs, where that is more than what was asked for.
    Column("raised_ram_mb", BigInteger),
    Column("raised_vram_mb", BigInteger),
    Column("retry_policy", Text, nullable=False),
    Column("event_delivery", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("op_definition", ID),
    Column("op_version", String),
    Column("owner", String),
    Column("tags", Text, nullable=False),
    Column("batch_id", ID),
    Column("fence", BigInteger, nullable=False),
    Column("due_us", BigInteger),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    # Number of the current attempt; 0 while there is none.
    Column("attempt", Integer, nullable=False),
    # Number of the newest event; the next one is counted from it under the row's lock.
    Column("last_event", BigInteger, nullable=False),
    # What scheduling needs, worked out by `deadlines.py` whenever the run is written.
    Column("selectors", Text, nullable=False),
    # Which other pending runs it is like: see `lanes.py`.
    Column("lane", ID, nullable=False, server_default=text("''")),
    Column("queued_us", BigInteger),
    Column("held_until_us", BigInteger),
    # Why it stands beside the queue although it is due: RUNS it comes after, or its KEY is full.
    Column("awaits", String),
    Column("concurrency_key", String),
    Column("concurrency_limit", BigInteger),
    Column("preemptible", Boolean, nullable=False, server_default=false()),
    Column("queue_deadline_us", BigInteger),
    Column("total_deadline_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("cancel_reason", String),
    Column("cancel_message", Text),
    Column("cancel_requested_us", BigInteger),
    CheckConstraint(_one_of("state", OpRunState), name="state"),
    CheckConstraint("(queued_us IS NOT NULL) = (state = 'PENDING')", name="queued"),
    CheckConstraint("held_until_us IS NULL OR queued_us IS NOT NULL", name="held_until"),
    CheckConstraint(f"(ended_us IS NULL) = ({ACTIVE})", name="ended"),
)

Index(
    "ix_op_runs_ready",
    op_runs.c.lane,
    op_runs.c.created_us,
    op_runs.c.id,
    **_only_where(READY),
)
# Who waits for a key, in the order of their turns; and who has it in sight.
Index(
    "ix_op_runs_awaiting_key",
    op_runs.c.concurrency_key,
    op_runs.c.priority.desc(),
    op_runs.c.created_us,
    op_runs.c.id,
    **_only_where(AWAITING_KEY),
)
Index(
    "ix_op_runs_ready_key",
    op_runs.c.concurrency_key,
    **_only_where(f"{READY} AND concurrency_key IS NOT NULL"),
)
Index("ix_op_runs_queued_owner", op_runs.c.owner, **_only_where(QUEUED))
Index("ix_op_runs_delayed", op_runs.c.held_until_us, **_only_where(DELAYED))
Index(
    "ix_op_runs_queue_deadline",
    op_runs.c.queue_deadline_us,
    **_only_where("queue_deadline_us IS NOT NULL"),
)
Index(
    "ix_op_runs_total_deadline",
    op_runs.c.total_deadline_us,
    **_only_where("total_deadline_us IS NOT NULL"),
)
Index("ix_op_runs_ended", op_runs.c.ended_us, **_only_where(ENDED))
Index("ix_op_runs_created", op_runs.c.created_us, op_runs.c.id)
Index("ix_op_runs_state", op_runs.c.state, op_runs.c.created_us, op_runs.c.id)
Index("ix_op_runs_op", op_runs.c.op_definition, op_runs.c.created_us, op_runs.c.id)
Index(
    "ix_op_runs_batch",
    op_runs.c.batch_id,
    op_runs.c.created_us,
    **_only_where("batch_id IS NOT NULL"),
)
Index("ix_op_runs_owner", op_runs.c.owner, op_runs.c.created_us, **_only_where("owner IS NOT NULL"))

run_tags: Final = Table(
    "run_tags",
    metadata,
    Column("key", String, nullable=False),
    Column("value", String, nullable=False),
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    PrimaryKeyConstraint("key", "value", "run_id"),
    Index("ix_run_tags_run_id", "run_id"),
)

op_attempts: Final = Table(
    "op_attempts",
    metadata,
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("progress", Integer, nullable=False),
    # NULL: the same as the run's, which is nearly always so.
    Column("inputs", Text),
    Column("constraints", Text),
    Column("outputs", Text, nullable=False),
    Column("duration_ms", BigInteger),
    Column("worker_id", ID),
    Column("error_message", Text),
    Column("gpu_id", BigInteger),
    Column("started_us", BigInteger),
    Column("finished_us", BigInteger),
    Column("charged", Boolean, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("reason", String),
    Column("exit_code", BigInteger),
    Column("gpu_uuid", String),
    Column("image_digest", Text),
    # Who holds it, from `assignments.open` until `close`, which empties the lease and keeps the
    # rest, so that a result that comes again is known.
    Column("holder_id", ID),
    Column("holder_fence", BigInteger),
    Column("opened_us", BigInteger),
    Column("claim_id", String),
    Column("claimed_us", BigInteger),
    Column("lease_expires_us", BigInteger),
    Column("event_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("log_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("result_digest", String),
    # Logs of the attempt: newest number, bytes kept, where the kept beginning ends, bytes cut.
    Column("log_last", BigInteger, nullable=False, server_default=text("0")),
    Column("log_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("log_head_last", BigInteger),
    Column("log_cut_bytes", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("run_id", "attempt"),
    CheckConstraint(_one_of("state", OpRunState), name="state"),
)

Index("uq_op_attempts_active", op_attempts.c.run_id, unique=True, **_only_where(ACTIVE))
Index("ix_op_attempts_holder", op_attempts.c.holder_id, **_only_where(HELD))
Index("ix_op_attempts_lease", op_attempts.c.lease_expires_us, **_only_where(HELD))
Index(
    "ix_op_attempts_unclaimed",
    op_attempts.c.opened_us,
    **_only_where(f"{HELD} AND claimed_us IS NULL"),
)
Index("ix_op_attempts_worker", op_attempts.c.worker_id, op_attempts.c.run_id)

reservations: Final = Table(
    "reservations",
    metadata,
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker_id", ID, nullable=False),
    Column("cpu", BigInteger, nullable=False),
    Column("ram_mb", BigInteger, nullable=False),
    Column("vram_mb", BigInteger, nullable=False),
    Column("gpu_uuid", String),
    Column("reserved_us", BigInteger, nullable=False),
    Column("freed_us", BigInteger),
    Column("concurrency_key", String),
    PrimaryKeyConstraint("run_id", "fence"),
)

Index("ix_reservations_unfreed", reservations.c.worker_id, **_only_where("freed_us IS NULL"))
Index(
    "ix_reservations_key",
    reservations.c.concurrency_key,
    **_only_where("freed_us IS NULL AND concurrency_key IS NOT NULL"),
)

events: Final = Table(
    "events",
    metadata,
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("t_us", BigInteger, nullable=False),
    Column("type", String, nullable=False),
    Column("msg", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("recorded_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "number"),
    CheckConstraint(_one_of("type", EventType), name="type"),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("run_id", ID, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("destination", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("sent_us", BigInteger),
    ForeignKeyConstraint(
        ["run_id", "number"], ["events.run_id", "events.number"], ondelete="CASCADE"
    ),
    UniqueConstraint("run_id", "number", "destination"),
)

Index("ix_outbox_unsent", outbox.c.destination, outbox.c.id, **_only_where("sent_us IS NULL"))

workers: Final = Table(
    "workers",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String, nullable=False),
    Column("machine_id", String, nullable=False),
    Column("session_id", String, nullable=False),
    Column("boot_id", String, nullable=False),
    Column("version", String, nullable=False),
    Column("runtime", String, nullable=False),
    Column("cpu", BigInteger, nullable=False),
    Column("ram_mb", BigInteger, nullable=False),
    Column("gpus", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("problem", Text, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("registered_us", BigInteger, nullable=False),
    Column("last_seen_us", BigInteger, nullable=False),
    # References and digests of the images on its machine, as JSON text.
    Column("images", Text, nullable=False, server_default=text("'[]'")),
)

# When the control plane last lived; until when no lease counts as over.
pulse: Final = Table(
    "pulse",
    metadata,
    Column("singleton", Integer, primary_key=True, autoincrement=False),
    Column("ticked_us", BigInteger, nullable=False),
    Column("amnesty_until_us", BigInteger),
    Column("brake_until_us", BigInteger),
    CheckConstraint("singleton = 1", name="singleton"),
)

# Containers on workers' machines whose runs this database does not know, and what they take.
limbo: Final = Table(
    "limbo",
    metadata,
    Column("worker_id", ID, nullable=False),
    Column("name", String, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("run_id", String, nullable=False, server_default=text("''")),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("cpu", BigInteger, nullable=False, server_default=text("0")),
    Column("ram_mb", BigInteger, nullable=False, server_default=text("0")),
    Column("vram_mb", BigInteger, nullable=False, server_default=text("0")),
    Column("gpu_uuid", String),
    PrimaryKeyConstraint("worker_id", "name"),
)

logs: Final = Table(
    "logs",
    metadata,
    Column("run_id", ID, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("t_us", BigInteger, nullable=False),
    Column("stream", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    PrimaryKeyConstraint("run_id", "attempt", "number"),
    ForeignKeyConstraint(
        ["run_id", "attempt"],
        ["op_attempts.run_id", "op_attempts.attempt"],
        ondelete="CASCADE",
    ),
    CheckConstraint("stream IN ('stdout', 'stderr', 'system')", name="stream"),
)

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # When somebody last sent it or asked for it; what no run names is kept for a while from then.
    Column("used_us", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_artifacts_used_us", "used_us"),
)

# Files that a run's inputs, or outputs that a caller wrote, name.
run_references: Final = Table(
    "run_references",
    metadata,
    Column("sha256", String, ForeignKey("artifacts.sha256"), nullable=False),
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    PrimaryKeyConstraint("sha256", "run_id"),
    Index("ix_run_references_run_id", "run_id"),
)

run_artifacts: Final = Table(
    "run_artifacts",
    metadata,
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("sha256", String, ForeignKey("artifacts.sha256"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String, nullable=False),
    PrimaryKeyConstraint("run_id", "attempt", "name"),
    Index("ix_run_artifacts_sha256", "sha256"),
)

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("scope", String, nullable=False),
    Column("key", String, nullable=False),
    Column("request_hash", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("scope", "key"),
    Index("ix_idempotency_created_us", "created_us"),
)

"""Tables of what the planner and the clock know beside runs and workers; see `schema` for the rest.

Same rules as there: migrations make them, times are integer microseconds, lists are JSON text.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    text,
)

from gyoza.server.storage.schema import ID, metadata

# What an owner may have at most; owners without a row have the server's settings.
quotas: Final = Table(
    "quotas",
    metadata,
    Column("owner", String, primary_key=True),
    Column("max_queued", BigInteger),
    Column("max_active", BigInteger),
)

# How long completed runs of one version (or image) took: moments of the logarithm of seconds,
# weighted towards the recent ones.
run_times: Final = Table(
    "run_times",
    metadata,
    Column("source", Text, primary_key=True),
    Column("samples", BigInteger, nullable=False),
    Column("log_mean", Float, nullable=False),
    Column("log_variance", Float, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
)

# Which runs a run comes after, until they have ended.
run_dependencies: Final = Table(
    "run_dependencies",
    metadata,
    Column("run_id", ID, ForeignKey("op_runs.id", ondelete="CASCADE"), nullable=False),
    Column("after_id", ID, nullable=False),
    Column("condition", String, nullable=False),
    PrimaryKeyConstraint("run_id", "after_id"),
    CheckConstraint("condition IN ('success', 'any')", name="condition"),
    Index("ix_run_dependencies_after_id", "after_id"),
)

# What each owner had of the fleet lately, decaying: fair share weighs it against what they ask for.
owner_use: Final = Table(
    "owner_use",
    metadata,
    # "" stands for runs without an owner.
    Column("owner", String, primary_key=True),
    Column("used", Float, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
)

# Submits by the clock.
schedules: Final = Table(
    "schedules",
    metadata,
    Column("name", ID, primary_key=True),
    Column("cron", String, nullable=False),
    Column("timezone", String, nullable=False),
    # What to do with times that passed while no server lived: skip, one, all.
    Column("catch_up", String, nullable=False),
    # What to do when the last run of it is not over yet: allow another beside it, or skip.
    Column("overlap", String, nullable=False, server_default=text("'allow'")),
    # The submit, as JSON text.
    Column("run", Text, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("next_us", BigInteger),
    Column("last_us", BigInteger),
    Column("last_run_id", ID),
    Column("problem", Text, nullable=False, server_default=text("''")),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    CheckConstraint("catch_up IN ('skip', 'one', 'all')", name="catch_up"),
    CheckConstraint("overlap IN ('allow', 'skip')", name="overlap"),
    Index(
        "ix_schedules_next_us",
        "next_us",
        sqlite_where=text("next_us IS NOT NULL AND paused = 0"),
        postgresql_where=text("next_us IS NOT NULL AND NOT paused"),
    ),
)

# What is known against a GPU: the ops whose attempts failed on it in a row, and whether that is
# enough to give it no more work.
gpu_records: Final = Table(
    "gpu_records",
    metadata,
    Column("worker_id", ID, nullable=False),
    Column("gpu_uuid", String, nullable=False),
    # Sources of the failed attempts since the last that completed, as JSON text.
    Column("failed", Text, nullable=False),
    Column("quarantined_us", BigInteger),
    Column("why", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("worker_id", "gpu_uuid"),
)

"""Schema, migrations and the domain's enumerations say the same; hot queries have indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from gyoza.models import EventType, OpRunState
from gyoza.models.lifecycle import is_terminal
from gyoza.server.errors import SchemaTooNew
from gyoza.server.storage import planning_schema, schema
from gyoza.server.storage.migrate import current_revision, head_revision, migrate
from gyoza.server.storage.repositories import (
    assignments,
    concurrency,
    dependencies,
    quotas,
    run_positions,
    run_queue,
)


@pytest.fixture
def migrated() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrate(connection, "test")
        yield connection
    engine.dispose()


def test_migrations_and_tables_agree(migrated: Connection) -> None:
    context = MigrationContext.configure(migrated)

    assert compare_metadata(context, planning_schema.metadata) == []


def test_migrations_make_the_same_checks_and_partial_indexes(migrated: Connection) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as fresh:
        planning_schema.metadata.create_all(fresh)

        assert _definitions(migrated) == _definitions(fresh)
    engine.dispose()


def test_migrating_twice_changes_nothing(migrated: Connection) -> None:
    migrate(migrated, "test")

    assert current_revision(migrated) == head_revision()


def test_a_schema_from_the_future_is_refused_by_name(migrated: Connection) -> None:
    migrated.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaTooNew, match=r"gyoza\.db has schema 9999.*upgrade gyoza"):
        migrate(migrated, "gyoza.db")


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("op_runs", "state", OpRunState),
        ("op_attempts", "state", OpRunState),
        ("events", "type", EventType),
    ],
)
def test_a_check_names_exactly_the_members_of_the_enumeration(
    migrated: Connection, table: str, column: str, kind: type[Enum]
) -> None:
    [made] = migrated.execute(
        text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name"),
        {"name": table},
    ).scalars()

    found = re.search(rf"CHECK \({column} IN \(([^)]*)\)\)", made)

    assert found is not None
    assert set(re.findall(r"'(\w+)'", found[1])) == {member.value for member in kind}


def test_active_states_are_those_of_the_lifecycle() -> None:
    ended = {state.value for state in OpRunState if is_terminal(state)}

    assert set(re.findall(r"'(\w+)'", schema.ACTIVE)) == {s.value for s in OpRunState} - ended


def test_a_state_that_the_domain_does_not_know_is_refused(migrated: Connection) -> None:
    with pytest.raises(IntegrityError, match="CHECK"):
        migrated.execute(
            schema.op_runs.insert(),
            {
                **{column.name: 0 for column in schema.op_runs.c if not column.nullable},
                "state": "PAUSED",
            },
        )


def test_every_table_and_index_can_be_made_on_postgresql() -> None:
    dialect: Any = postgresql.dialect()
    for table in planning_schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_who_still_waits_for_an_ended_run_is_found_by_indexes(migrated: Connection) -> None:
    compiled: Any = dependencies.ENDED_AND_AWAITED.compile(dialect=migrated.dialect)

    rows = migrated.exec_driver_sql(
        f"EXPLAIN QUERY PLAN {compiled}", tuple(1 for _ in compiled.positiontup)
    )
    plan = [row.detail for row in rows]

    assert any("ix_run_dependencies_after_id (after_id>?)" in line for line in plan)
    assert any("SEARCH op_runs" in line for line in plan)
    assert not any("SCAN op_runs" in line or "SCAN run_dependencies" in line for line in plan)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (run_queue.LANE, "ix_op_runs_ready"),
        (run_positions.BEFORE_IN_LANE, "ix_op_runs_ready"),
        (run_queue.RIPEN, "ix_op_runs_delayed"),
        (run_queue.NEXT_DUE, "ix_op_runs_delayed"),
        (concurrency.NEXT_OF_KEY, "ix_op_runs_awaiting_key"),
        (concurrency.READY_OF_KEY, "ix_op_runs_ready_key"),
        (concurrency.HELD_OF_KEY, "ix_reservations_key"),
        (run_queue.TOTAL_OVERDUE, "ix_op_runs_total_deadline"),
        (run_queue.QUEUE_OVERDUE, "ix_op_runs_queue_deadline"),
        (run_queue.OLDEST_ENDED, "ix_op_runs_ended"),
        (assignments.EXPIRED, "ix_op_attempts_lease"),
        (assignments.EXPIRED_HOLDERS, "ix_op_attempts_lease"),
        (assignments.UNACKNOWLEDGED, "ix_op_attempts_unclaimed"),
        (assignments.BY_WORKER, "ix_op_attempts_holder"),
        (assignments.UNFREED_ON, "ix_reservations_unfreed"),
        (assignments.UNFREED, "ix_reservations_unfreed"),
    ],
)
def test_a_hot_query_walks_its_index_and_sorts_nothing(
    migrated: Connection, statement: Any, index: str
) -> None:
    compiled = statement.compile(dialect=migrated.dialect)
    given = dict.fromkeys(compiled.params, 1)

    rows = migrated.exec_driver_sql(
        f"EXPLAIN QUERY PLAN {compiled}", tuple(given[name] for name in compiled.positiontup)
    )
    plan = [row.detail for row in rows]

    assert index in plan[0]
    assert not any("op_runs" in line and "SCAN" in line and index not in line for line in plan)
    if index != "ix_op_attempts_holder":  # what one worker holds is short, and sorted by age
        assert not any("TEMP B-TREE" in line for line in plan)


def _definitions(connection: Connection) -> dict[str, str]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {row.name: _normal(row.sql) for row in rows if row.name != "alembic_version"}


def _normal(sql: str) -> str:
    """One line, with the parts of a table in alphabetical order: Alembic writes them in another."""
    head, _, body = re.sub(r"\s+", " ", sql).partition("(")
    parts, depth = [""], 0
    for char in body:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return head + ", ".join(sorted(part.strip(" )") for part in parts))


def test_the_walk_over_the_lanes_looks_into_its_index_once_per_lane(migrated: Connection) -> None:
    compiled = run_queue.LANES.compile(dialect=migrated.dialect)

    given = tuple(1 for _ in compiled.positiontup or ())
    rows = migrated.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", given)
    about_runs = [row.detail for row in rows if "op_runs" in row.detail]

    assert [line.split()[0] for line in about_runs] == ["SEARCH", "SEARCH"]
    assert all("ix_op_runs_ready" in line for line in about_runs)
    assert not any("TEMP B-TREE" in row.detail for row in rows)


def test_what_an_owner_has_waiting_is_counted_by_its_index(migrated: Connection) -> None:
    compiled = quotas.QUEUED_OF.compile(dialect=migrated.dialect)
    given = tuple(1 for _ in compiled.positiontup or ())

    rows = migrated.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", given)

    about_runs = [row.detail for row in rows if "op_runs" in row.detail]
    assert ["ix_op_runs_queued_owner" in line for line in about_runs] == [True]
    assert about_runs[0].startswith("SEARCH")

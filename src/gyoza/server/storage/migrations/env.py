"""What Alembic runs to apply revisions: on the connection and in the transaction it was given."""

from __future__ import annotations

from alembic import context

from gyoza.server.storage.planning_schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # the caller's transaction began by hand, so SQLite's DDL is in it
)
context.run_migrations()

"""Brings a database to the schema of this version, by the Alembic revisions in `migrations/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gyoza.server.errors import SchemaTooNew


def migrate(connection: Connection, name: str) -> None:
    """Upgrade to this version's schema inside the connection's transaction.

    Args:
        connection: In a transaction, which the caller commits.
        name: What an error calls the database.

    Raises:
        SchemaTooNew: The database has a revision that this version does not know.
    """
    found = current_revision(connection)
    if found == head_revision():
        return
    if found is not None and found not in _known_revisions():
        raise SchemaTooNew(name, found)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current_revision(connection: Connection) -> str | None:
    """The revision a database says it has; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


@cache
def head_revision() -> str:
    """The revision of this version of gyoza."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("the package has no migrations")
    return head


def _known_revisions() -> set[str]:
    script = ScriptDirectory.from_config(_config())
    return {revision.revision for revision in script.walk_revisions()}


def _config() -> Config:
    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

"""The embedded engine: one SQLite file, one writer connection, readers beside it.

How the file is opened and guarded, and what its faults mean; nothing about what is in it. Why one
writer: docs/decisions/0009-one-sqlite-writer-and-core-not-orm.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import QueuePool

from gyoza.server.errors import StoreUnavailable
from gyoza.server.storage.file_lock import FileLock, refuse_network_filesystem
from gyoza.server.storage.migrate import current_revision, head_revision, migrate

READERS: Final = 4
BUSY_TIMEOUT_S: Final = 5.0
_HINTS: Final = {
    "disk is full": "free some space on its disk; nothing was half written",
    "readonly": "make the file and its folder writable",
    "unable to open": "check that its folder exists and is writable",
    "locked": "another program holds it locked; end that program",
    "malformed": "the file is damaged: restore a backup",
    "not a database": "the file is something else: give gyoza another GYOZA_DATA_DIR",
}


class SqliteDatabase:
    """One database file, opened for this process alone.

    Args:
        path: The file; it and its folder are made when they are missing.
        busy_timeout_s: How long a foreign lock on the file is waited for.

    Raises:
        StoreInUse: Another process has it.
        SchemaTooNew: A later version of gyoza wrote it.
        StoreUnavailable: It cannot be opened, is damaged, or lies on a network file system.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_network_filesystem(path)
            self._lock = FileLock(path)
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            with self.explained():
                self._open()
        except BaseException:
            self._lock.release()
            raise

    def write_connection(self) -> Connection:
        """The writer's connection, for its thread; a transaction begins with `begin()`."""
        return self._writer.connect()

    @contextmanager
    def explained(self) -> Generator[None]:
        """Turn what the engine says into `StoreUnavailable`; the other errors are our own."""
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise
        except DBAPIError as error:
            if not isinstance(error.orig, sqlite3.DatabaseError):
                raise
            raise self._unavailable(error.orig) from error
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    @contextmanager
    def read_transaction(self) -> Generator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with self.explained(), self._readers.connect() as connection, connection.begin():
            yield connection

    def check(self) -> None:
        """Raise unless the database answers and has the schema of this version."""
        with self.read_transaction() as connection:
            found = current_revision(connection)
        if found != head_revision():
            raise StoreUnavailable(f"{self._path} has schema {found}, not {head_revision()}")

    def close(self) -> None:
        """Close everything and let others have the file; the writer goes last and checkpoints."""
        self._readers.dispose()
        self._writer.dispose()
        self._lock.release()

    def _open(self) -> None:
        self._writer = _engine(self._path, 1, "BEGIN IMMEDIATE", self._busy_timeout_s)
        self._readers = _engine(self._path, READERS, "BEGIN", self._busy_timeout_s)
        event.listen(self._writer, "connect", _prepare_writer)
        event.listen(self._readers, "connect", _prepare_reader)
        try:
            with self._writer.connect() as connection:
                self._check_file(connection)
                with connection.begin():
                    migrate(connection, str(self._path))
        except BaseException:
            self._writer.dispose()
            raise

    def _check_file(self, connection: Connection) -> None:
        # Outside a transaction, through the driver: SQLAlchemy would begin one.
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - for the type checker
        said = [row[0] for row in raw.execute("PRAGMA quick_check(1)")]
        if said != ["ok"]:
            raise StoreUnavailable(f"{self._path} is damaged ({said[0]}): restore a backup")

    def _unavailable(self, cause: BaseException | None) -> StoreUnavailable:
        said = str(cause)
        hints = [hint for words, hint in _HINTS.items() if words in said]
        more = f": {hints[0]}" if hints else ""
        return StoreUnavailable(f"the database {self._path} cannot be used ({said}){more}")


def _engine(path: Path, size: int, begin: str, busy_timeout_s: float) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            path,
            timeout=busy_timeout_s,
            # Transactions are ours to begin and to end.
            isolation_level=None,
            # Pooled connections move between threads, never shared at one time.
            check_same_thread=False,
            cached_statements=256,
        ),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        query_cache_size=1000,
    )

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine


def _prepare_writer(connection: sqlite3.Connection, _record: Any) -> None:
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _prepare_reader(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA query_only=ON").close()

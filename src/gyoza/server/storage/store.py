"""The store: `await store.write(fn)`, `await store.read(fn)`, each one repeatable transaction.

Storage code is synchronous and runs in threads of the store's own. Writes that wait at the same
moment share one commit (each in a savepoint of its own), because a commit costs a disk flush.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from gyoza.server.clock import Clock
from gyoza.server.storage.cluster import load_cluster
from gyoza.server.storage.records import Cluster, Destination
from gyoza.server.storage.sqlite import READERS, SqliteDatabase
from gyoza.server.storage.transaction import Transaction
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.storage.wakeups import Wakeups
from gyoza.server.storage.writer import Writer

T = TypeVar("T")


class Store:
    """The database, open. Made by `Store.open`.

    Attributes:
        wakeups: Wakes who waits for what a committed transaction announced.
    """

    def __init__(
        self, database: SqliteDatabase, clock: Clock, destinations: Sequence[Destination]
    ) -> None:
        self.wakeups = Wakeups()
        self._database = database
        self._clock = clock
        self._destinations = tuple(destinations)
        self._cluster: Cluster | None = None
        self._writer = Writer(database, self._transaction, self.wakeups.announce)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    @classmethod
    def open(
        cls,
        url_or_path: str | Path,
        *,
        clock: Clock,
        cluster_secret: bytes | None = None,
        destinations: Sequence[Destination] = (),
    ) -> Store:
        """Open a database for this process, bring its schema up to date and start its threads.

        Args:
            url_or_path: Path of an SQLite file, or `sqlite:///path`.
            clock: Gives each transaction its time.
            cluster_secret: Key for attempt tokens, when this is the database's first start; None
                makes a random one.
            destinations: Where events go besides the timeline; none means no outbox rows.

        Raises:
            StoreInUse: Another process has it.
            SchemaTooNew: A later version of gyoza wrote it.
            StoreUnavailable: It cannot be opened; the cause is in the text.
            ValueError: The URL names an engine that gyoza does not have.
        """
        store = cls(SqliteDatabase(_sqlite_path(url_or_path)), clock, destinations)
        try:
            store._know_cluster(cluster_secret)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def cluster(self) -> Cluster:
        """Who this database is."""
        if self._cluster is None:
            raise LookupError("the cluster is known once the store is open; use Store.open")
        return self._cluster

    async def write(self, fn: Callable[[UnitOfWork], T]) -> T:
        """Run `fn` in a transaction that may change things, and commit it.

        What it announced with `wake` is announced after the commit. When it raises, nothing of it
        remains and the error comes out here. It may be run again from the start, after a lost race
        or together with a failed neighbour.

        Raises:
            Superseded: It lost the race against others five times.
            StoreUnavailable: The database cannot be written now.
        """
        return await asyncio.wrap_future(self._submit(fn))

    def write_now(self, fn: Callable[[UnitOfWork], T]) -> T:
        """Like `write`, without an event loop; never call it inside a unit of work."""
        return self._submit(fn).result()

    async def read(self, fn: Callable[[UnitOfWork], T]) -> T:
        """Run `fn` on one unchanging state of the database; it must change nothing.

        Raises:
            StoreUnavailable: The database cannot be read now.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._read_in_thread, fn
        )

    def read_now(self, fn: Callable[[UnitOfWork], T]) -> T:
        """Like `read`, without an event loop, in the caller's thread."""
        return self._read_in_thread(fn)

    async def check(self) -> None:
        """Return when the database answers and has this version's schema.

        Raises:
            StoreUnavailable: It does not; the cause is in the text.
        """
        await asyncio.get_running_loop().run_in_executor(self._readers, self._database.check)

    def close(self) -> None:
        """Let writes that wait end, then close the database. Repeating is harmless."""
        self._writer.stop()
        self._readers.shutdown(wait=True)
        self._database.close()

    def _read_in_thread(self, fn: Callable[[UnitOfWork], T]) -> T:
        with self._database.read_transaction() as connection:
            return fn(self._unit_of_work(self._transaction(connection)))

    def _submit(self, fn: Callable[[UnitOfWork], T]) -> Future[T]:
        return self._writer.submit(lambda transaction: self._carry_out(fn, transaction))

    def _carry_out(self, fn: Callable[[UnitOfWork], T], transaction: Transaction) -> T:
        unit_of_work = self._unit_of_work(transaction)
        result = fn(unit_of_work)
        # Here, because whatever ends, frees or adds a run may let another one in. Who waited for a
        # run may come to wait for a key.
        unit_of_work.dependencies.settle()
        unit_of_work.concurrency.settle()
        return result

    def _unit_of_work(self, transaction: Transaction) -> UnitOfWork:
        return UnitOfWork(transaction, lambda: self.cluster)

    def _transaction(self, connection: Connection) -> Transaction:
        return Transaction(connection, self._clock.now_us(), self._destinations)

    def _know_cluster(self, secret: bytes | None) -> None:
        self._cluster = self._writer.submit(lambda tx: load_cluster(tx, secret)).result()


def _sqlite_path(url_or_path: str | Path) -> Path:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return Path(url_or_path)
    try:
        url = make_url(url_or_path)
    except ArgumentError as error:
        raise ValueError(f"{url_or_path!r} is no database URL; expected sqlite:///path") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        shown = url.render_as_string(hide_password=True)
        raise ValueError(f"{shown} names no engine that gyoza has; expected sqlite:///path")
    return Path(url.database)

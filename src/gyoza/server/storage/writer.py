"""The one thread that writes: transactions in the order they came, those that wait in one commit.

A commit costs a disk flush, so writes that queue up behind one are carried out together, each in a
savepoint of its own, and answered after the commit they share. When the group as a whole fails,
each is carried out alone, so that nobody suffers for a neighbour.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection

from gyoza.server.errors import StoreUnavailable, Superseded
from gyoza.server.storage.transaction import Transaction

T = TypeVar("T")

ATTEMPTS: Final = 5
GROUP: Final = 64


class WritableDatabase(Protocol):
    """What the writer needs of an engine."""

    def write_connection(self) -> Connection:
        """A connection for the writer's thread."""
        ...

    def explained(self) -> AbstractContextManager[None]:
        """A context that turns the engine's faults into `StoreUnavailable`."""
        ...


@dataclass(slots=True)
class _Job:
    fn: Callable[[Transaction], Any]
    future: Future[Any] = field(default_factory=Future[Any])


_Done: TypeAlias = tuple[_Job, Any, Iterable[str]]


class Writer:
    """Carries out writes in its own thread.

    Args:
        database: Where to write.
        begin: Makes the transaction's value once the connection is in one.
        announce: Gets the topics of committed transactions.
    """

    def __init__(
        self,
        database: WritableDatabase,
        begin: Callable[[Connection], Transaction],
        announce: Callable[[Iterable[str]], None],
    ) -> None:
        self._database = database
        self._begin = begin
        self._announce = announce
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Transaction], T]) -> Future[T]:
        """Have `fn` carried out and committed; the future has its result or its error."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a write inside a write would wait for itself; use its unit of work")
        job = _Job(fn)
        with self._door:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._jobs.put(job)
        return job.future

    def stop(self) -> None:
        """Refuse new writes, carry out those that wait and end the thread."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        going_on = True
        while going_on:
            jobs, going_on = self._waiting()
            wanted = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if len(wanted) > 1:
                self._carry_out_together(wanted)
            for job in wanted:
                if not job.future.done():
                    self._carry_out_alone(job)

    def _waiting(self) -> tuple[list[_Job], bool]:
        """Everything that waits, at least one; False with it once the store closes."""
        jobs: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == GROUP or self._jobs.empty():
                return jobs, True
            job = self._jobs.get()
        return jobs, False

    def _carry_out_alone(self, job: _Job) -> None:
        try:
            with self._database.explained():
                result, topics = self._until_not_superseded(job.fn)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, in another thread
            job.future.set_exception(error)
        else:
            self._announce(topics)
            job.future.set_result(result)

    def _until_not_superseded(self, fn: Callable[[Transaction], Any]) -> tuple[Any, Iterable[str]]:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._in_transaction(fn)
            except Superseded:
                continue
        return self._in_transaction(fn)

    def _in_transaction(self, fn: Callable[[Transaction], Any]) -> tuple[Any, Iterable[str]]:
        with self._database.write_connection() as connection, connection.begin():
            transaction = self._begin(connection)
            result = fn(transaction)
        return result, transaction.topics

    def _carry_out_together(self, jobs: list[_Job]) -> None:
        """One commit for all; whose future is not done then has to be carried out alone."""
        try:
            with self._database.write_connection() as connection, connection.begin():
                done = [each for job in jobs if (each := self._in_savepoint(connection, job))]
        except Exception:  # noqa: BLE001 - alone, each finds out and says so to its own caller
            return
        self._announce([topic for _, _, topics in done for topic in topics])
        for job, result, _ in done:
            job.future.set_result(result)

    def _in_savepoint(self, connection: Connection, job: _Job) -> _Done | None:
        """One job of a group; None when it raised, and nothing of it remains."""
        savepoint = connection.begin_nested()
        try:
            transaction = self._begin(connection)
            result = job.fn(transaction)
        except Exception:  # noqa: BLE001 - carried out again alone, where its error counts
            savepoint.rollback()
            return None
        savepoint.commit()
        return job, result, transaction.topics

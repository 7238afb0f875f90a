"""The production store in one thread: its writer carries out what waits when the loop comes round.

Grouping, savepoints and rollbacks are the production writer's; only its thread is replaced. A
commit whose answer is lost is done here, because only here is it known that it was done.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from gyoza.server.clock import Clock, ManualClock
from gyoza.server.errors import StoreUnavailable
from gyoza.server.storage.store import Store
from gyoza.server.storage.transaction import Transaction
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.storage.writer import GROUP, Writer, _Job
from tests.simulation.virtual_loop import VirtualLoop

T = TypeVar("T")


class InlineWriter(Writer):
    """Writes in the event loop, in groups as the thread would.

    Args:
        threaded: The writer whose place it takes; its thread is ended.
        loop: Where it is called.
        loses_answer: Asked after each commit; True lets the callers see an error nevertheless.
    """

    def __init__(
        self, threaded: Writer, loop: VirtualLoop, loses_answer: Callable[[], bool]
    ) -> None:
        threaded.stop()
        self._database = threaded._database  # noqa: SLF001 - one class in two halves
        self._begin = threaded._begin  # noqa: SLF001
        self._announce = threaded._announce  # noqa: SLF001
        self._loop = loop
        self._loses_answer = loses_answer
        self._waiting_jobs: list[_Job] = []
        self._is_stopped = False

    def submit(self, fn: Callable[[Transaction], T]) -> Future[T]:
        if self._is_stopped:
            raise StoreUnavailable("the store is closed")
        job = _Job(fn)
        if not self._waiting_jobs:
            self._loop.call_soon(self._carry_out)
        self._waiting_jobs.append(job)
        return job.future

    def stop(self) -> None:
        self._is_stopped = True

    def _carry_out(self) -> None:
        jobs, self._waiting_jobs = self._waiting_jobs[:GROUP], self._waiting_jobs[GROUP:]
        if self._waiting_jobs:
            self._loop.call_soon(self._carry_out)
        wanted = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if len(wanted) > 1:
            self._carry_out_together(wanted)
        for job in wanted:
            if not job.future.done():
                self._carry_out_alone(job)

    def _in_transaction(self, fn: Callable[[Transaction], Any]) -> tuple[Any, Iterable[str]]:
        done = super()._in_transaction(fn)
        if self._loses_answer():
            raise StoreUnavailable("the connection was lost during COMMIT: nobody knows")
        return done


class SlowStore(Store):
    """Takes a moment for what it reads, in which others may write.

    Attributes:
        draw: How long.
    """

    draw: random.Random

    async def read(self, fn: Callable[[UnitOfWork], T]) -> T:
        found = await super().read(fn)
        await asyncio.sleep(self.draw.choice((0.0, 0.001, 0.02, 0.1)))
        return found


def open_store(
    path: Path,
    clock: Clock,
    loop: VirtualLoop,
    draw: random.Random,
    loses_answer: Callable[[], bool],
) -> Store:
    """Open a store whose every write and read happens in the loop's own thread."""
    if not path.exists():
        path.write_bytes(_template())
    store = SlowStore.open(path, clock=clock)
    assert isinstance(store, SlowStore)
    store.draw = draw
    store._writer = InlineWriter(store._writer, loop, loses_answer)  # noqa: SLF001
    return store


@cache
def _template() -> bytes:
    """An empty database with this version's schema; migrating takes longer than a whole world."""
    # Every process that simulates makes a template of its own: the same cluster in all of them.
    # Kept as bytes: a process of a pool is ended without a chance to remove a folder.
    with TemporaryDirectory(dir="/dev/shm", prefix="gyoza-template-") as folder:
        path = Path(folder) / "gyoza.db"
        Store.open(path, clock=ManualClock(), cluster_secret=bytes(32)).close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE cluster SET id = 'clu_00000000000000000000000000'")
        connection.close()
        return path.read_bytes()

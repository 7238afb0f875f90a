"""The server as a process of the world: the production store, use cases and loops, no HTTP.

It can be killed at any moment and started again over the same file. What its answers were is
written down here, with the fences they were about; what the file says in the end is dumped as it
is, row by row.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gyoza.models.ids import new_id
from gyoza.server.errors import ServerError, SessionSuperseded, StoreUnavailable, WorkerNotFound
from gyoza.server.loops.roster import Roster
from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.worker.server_port import ServerAway, ServerRefused, WorkerUnknown
from gyoza.worker.server_port import SessionSuperseded as WorkerSuperseded
from tests.simulation.inline_store import open_store
from tests.simulation.network import Network
from tests.simulation.recording import Recorder
from tests.simulation.virtual_loop import Process, VirtualClock, VirtualLoop

T = TypeVar("T")
TABLES = ("op_runs", "op_attempts", "events", "reservations", "workers", "idempotency")


class SimServer:
    """One server over one database file.

    Args:
        loop, network, recorder: The world's.
        settings: Of the server; the database lies where they say.
        draw: Ids, jitter, and which commits lose their answer.

    Attributes:
        commit_loss: Share of commits whose answer is lost.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        network: Network,
        recorder: Recorder,
        settings: Settings,
        draw: random.Random,
    ) -> None:
        self._rosters = draw.choice((1, 2))
        self._loop, self._clock, self._network = loop, VirtualClock(loop), network
        self._recorder, self._draw = recorder, draw
        self._path = settings.database_path
        self._store: Store | None = None
        self._starts = 0
        self.settings = settings
        self.outside = Outside(settings, self._new_id, draw)
        self.commit_loss = 0.0
        self._gone_at_s = float("-inf")
        self.process: Process | None = None

    @property
    def store(self) -> Store:
        """The open store.

        Raises:
            ServerAway: The server is down.
        """
        if self._store is None:
            raise ServerAway("the server is down")
        return self._store

    def start(self) -> None:
        """Begin a new process over the file."""
        self._starts += 1
        self.process = Process(f"server {self._starts}", self._loop)
        self.process.call(self._open)
        self._network.server = self.process
        away_s = self._clock.monotonic() - self._gone_at_s
        self._recorder.note("server", what="start")
        if away_s > self.settings.amnesty_after_gap_s:
            self._recorder.note("server", what="back")

    def kill(self) -> None:
        """SIGKILL: the file stays as it is, everything else is gone."""
        if self.process is not None:
            self._gone_at_s = self._clock.monotonic()
        process, store = self.process, self._store
        self.process = self._store = self._network.server = None
        if process is not None:
            process.kill()
        if store is not None:
            store.close()

    async def write(self, fn: Callable[[UnitOfWork], T]) -> T:
        """A use case as the API carries it out; its errors as an HTTP client of ours sees them."""
        try:
            return await self.store.write(fn)
        except SessionSuperseded as error:
            raise WorkerSuperseded(str(error), code="SESSION_SUPERSEDED", status=409) from error
        except WorkerNotFound as error:
            raise WorkerUnknown(str(error), code="WORKER_NOT_FOUND", status=404) from error
        except StoreUnavailable as error:
            raise ServerAway(str(error)) from error
        except ServerError as error:
            raise ServerRefused(str(error), code=type(error).__name__) from error

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of what the promises are about, read past the production code."""
        return dump_database(self._path)

    def _open(self) -> None:
        self._store = open_store(
            self._path, self._clock, self._loop, self._draw, self._loses_answer
        )
        # Any number of dispatchers and rescuers may run side by side.
        for _ in range(self._rosters):
            Roster(self._store, self.outside, self._clock).start()

    def _loses_answer(self) -> bool:
        is_lost = self._draw.random() < self.commit_loss
        if is_lost:
            self._recorder.note("fault", fault="commit unknown", target="server")
        return is_lost

    def _new_id(self, kind: str, now: Any) -> str:
        return new_id(kind, now=now, random_bytes=self._draw.randbytes)


def dump_database(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables that the promises are about, by plain SQL."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return {
            table: [
                dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
            ]
            for table in TABLES
        }
    finally:
        connection.close()

"""Concurrency keys: who has them, who waits for them, and who is next.

Waiting runs stand beside the queue (`awaits`), by priority and age. Whatever frees, ends or adds a
run of a key touches the key (`Transaction.touch_key`); `settle` then lets in as many as there is
room for, before the transaction commits: nobody waits while the key is free, and nothing has to
look for those who do.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select, text, update

from gyoza.server.storage.schema import AWAITING_KEY, READY, op_runs, reservations
from gyoza.server.storage.transaction import Transaction

HELD_OF_KEY: Final = select(func.count()).where(
    text("freed_us IS NULL"), reservations.c.concurrency_key == bindparam("key")
)
READY_OF_KEY: Final = select(func.count()).where(
    text(READY), op_runs.c.concurrency_key == bindparam("key")
)
NEXT_OF_KEY: Final = (
    select(op_runs.c.id, op_runs.c.concurrency_limit)
    .where(text(AWAITING_KEY), op_runs.c.concurrency_key == bindparam("key"))
    .order_by(op_runs.c.priority.desc(), op_runs.c.created_us, op_runs.c.id)
    .limit(bindparam("count"))
)
_LET_IN: Final = (
    update(op_runs)
    .where(op_runs.c.id.in_(bindparam("runs", expanding=True)))
    .values(awaits=None, phase=None)
)
_PORTION: Final = 500


class KeyLine(NamedTuple):
    """The line for a concurrency key.

    Attributes:
        first: The run that gets a place next; None when nobody waits.
        let_in: Runs that have got one and wait for a worker.
    """

    first: str | None
    let_in: int


class ConcurrencyRepository:
    """The concurrency keys of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection

    def held(self, key: str) -> int:
        """How many unfreed reservations have the key, those of lost attempts among them."""
        return self._connection.execute(HELD_OF_KEY, {"key": key}).scalar_one()

    def line_of(self, key: str) -> KeyLine:
        """Who waits for a concurrency key, and who has been let in and not placed yet."""
        first = [run_id for run_id, _ in self._next(key, 1)]
        return KeyLine(first[0] if first else None, self._ready(key))

    def settle(self) -> set[str]:
        """Let runs in where their key has room, of all keys that were touched since the last time.

        The limit of the first in line decides for itself; nobody passes it. Wakes `dispatch` where
        somebody was let in.

        Returns:
            The ids of the runs that stand in the queue now.
        """
        admitted: set[str] = set()
        while self._transaction.touched_keys:
            key, _ = self._transaction.touched_keys.popitem()
            admitted |= self._settle(key)
        if admitted:
            self._transaction.wake("dispatch")
        return admitted

    def _settle(self, key: str) -> set[str]:
        admitted: set[str] = set()
        first = self._next(key, 1)
        if not first:
            return admitted
        busy = self.held(key) + self._ready(key)
        while first and busy < first[0][1]:
            portion = self._next(key, min(first[0][1] - busy, _PORTION))
            fitting = takewhile(
                lambda each, busy=busy: busy + each[0] < each[1][1], enumerate(portion)
            )
            run_ids = [run_id for _, (run_id, _) in fitting]
            self._connection.execute(_LET_IN, {"runs": run_ids})
            admitted.update(run_ids)
            busy += len(run_ids)
            first = self._next(key, 1)
        return admitted

    def _next(self, key: str, count: int) -> list[tuple[str, int]]:
        rows = self._connection.execute(NEXT_OF_KEY, {"key": key, "count": count})
        return [(run_id, limit) for run_id, limit in rows]

    def _ready(self, key: str) -> int:
        return self._connection.execute(READY_OF_KEY, {"key": key}).scalar_one()

"""Runs: loading, adding and the guarded save; lists and the queue are in modules of their own.

A run is loaded with all its attempts by one select; how it is written back is in
`run_changes`, and nothing is decided about it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from gyoza.models import EventType, OpRun, OpRunState
from gyoza.server.errors import RunNotFound
from gyoza.server.storage.deadlines import Before, schedule_of
from gyoza.server.storage.instants import from_us
from gyoza.server.storage.lanes import Barred
from gyoza.server.storage.records import CancelIntent, Overdue, PendingRun, RunFilter, StoredEvent
from gyoza.server.storage.repositories import run_lists, run_positions, run_queue, run_rows
from gyoza.server.storage.repositories.events import (
    NumberedEvent,
    attempt_asked_for,
    count_events,
    events_after,
    newest_events,
    record_events,
)
from gyoza.server.storage.repositories.run_changes import (
    ADD_ATTEMPTS,
    Change,
    Loaded,
    write_changes,
)
from gyoza.server.storage.repositories.run_rows import ATTEMPT_COLUMNS, Row
from gyoza.server.storage.schema import op_attempts, op_runs, run_tags
from gyoza.server.storage.statements import ManyRows
from gyoza.server.storage.transaction import Transaction

_RUN_COLUMNS: Final = tuple(op_runs.c.keys())
_LOAD: Final = (
    select(op_runs, *(op_attempts.c[name].label(f"a_{name}") for name in ATTEMPT_COLUMNS))
    .outerjoin(op_attempts, op_attempts.c.run_id == op_runs.c.id)
    .order_by(op_runs.c.id, op_attempts.c.attempt)
)
_LOAD_ONE: Final = _LOAD.where(op_runs.c.id == bindparam("run"))
_LOAD_MANY: Final = _LOAD.where(op_runs.c.id.in_(bindparam("runs", expanding=True)))

_ADD: Final = ManyRows(insert(op_runs))
_NONE_BARRED: Final = Barred()
_ADD_TAGS: Final = ManyRows(insert(run_tags))


class RunRepository:
    """The runs of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection
        self._loaded: dict[str, Loaded] = {}

    # --- one run, or some by name --------------------------------------------------------------

    def get(self, run_id: str) -> OpRun:
        """The run with all its attempts, without their events.

        Raises:
            RunNotFound: There is none.
        """
        rows = self._connection.execute(_LOAD_ONE, {"run": run_id}).all()
        if not rows:
            raise RunNotFound(run_id)
        return self._remembered(rows)

    def get_many(self, run_ids: Iterable[str]) -> list[OpRun]:
        """The runs in the order asked for; who does not exist is left out."""
        wanted = list(dict.fromkeys(run_ids))
        if not wanted:
            return []
        rows = self._connection.execute(_LOAD_MANY, {"runs": wanted}).all()
        grouped = groupby(rows, key=itemgetter(0))
        found = {run_id: self._remembered(list(group)) for run_id, group in grouped}
        return [found[run_id] for run_id in wanted if run_id in found]

    def with_events(self, run_id: str, limit: int = 1000) -> OpRun:
        """The run with the newest events in their attempts; for reading.

        Args:
            run_id: Whole id.
            limit: How many events over all attempts.

        Raises:
            RunNotFound: There is none.
        """
        run = self.get(run_id)
        attempts = {attempt.attempt: attempt for attempt in run.attempts}
        for stored in newest_events(self._transaction, run_id, limit):
            attempts[stored.attempt].events.append(stored.entry)
        return run

    def ids_with_prefix(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin with the prefix, in their order."""
        statement = (
            select(op_runs.c.id)
            .where(op_runs.c.id >= prefix, op_runs.c.id < prefix + "\U0010ffff")
            .order_by(op_runs.c.id)
            .limit(limit)
        )
        return list(self._connection.execute(statement).scalars())

    # --- writing -------------------------------------------------------------------------------

    def add(self, runs: Sequence[OpRun], *, batch_id: str | None = None) -> None:
        """Store new runs with the events they collected, by one statement per table.

        Wakes `dispatch`. Runs with a concurrency key come to wait for it; see `concurrency.settle`.

        Args:
            runs: Runs that are not stored; ids already taken are an integrity error.
            batch_id: The batch they were submitted in.
        """
        if not runs:
            return
        collected = [run.collect_events() for run in runs]
        now_us = self._transaction.now_us
        rows: list[Row] = [
            {
                **run_rows.request_row(run, batch_id),
                **run_rows.moving_row(run, schedule_of(run, now_us)),
                "version": 1,
                "last_event": len(events),
            }
            for run, events in zip(runs, collected, strict=True)
        ]
        _ADD.execute(self._connection, rows)
        for row in rows:
            self._transaction.touch_key(row["concurrency_key"])
        ADD_ATTEMPTS.execute(
            self._connection,
            [run_rows.attempt_row(run, attempt) for run in runs for attempt in run.attempts],
        )
        _ADD_TAGS.execute(
            self._connection,
            [
                {"key": key, "value": value, "run_id": run.id}
                for run in runs
                for key, value in run.tags.items()
            ],
        )
        record_events(
            self._transaction,
            [
                NumberedEvent(run.id, number, event)
                for run, events in zip(runs, collected, strict=True)
                for number, event in enumerate(events, 1)
            ],
        )
        self._transaction.wake("dispatch")

    def save(self, run: OpRun) -> None:
        """Write what changed of a run that this unit of work loaded; see `save_many`."""
        self.save_many([run])

    def save_many(self, runs: Sequence[OpRun]) -> None:
        """Write the runs, their changed attempts and every event they collected.

        Only what happens to a run is written; what it was asked for (inputs, policies, execution,
        tags, owner) never changes after `add`. The cancel intent is forgotten when a run ends or
        starts another attempt. Wakes `run:<id>` and `events` with events, and `dispatch` where a
        run became PENDING or stopped being held by a worker.

        Raises:
            Superseded: Somebody else wrote one of them since it was loaded; nothing of this unit
                of work may be committed.
            LookupError: One of them was not loaded by this unit of work.
        """
        changes = [self._change(run) for run in runs]
        write_changes(self._transaction, changes)
        for change in changes:
            self._loaded[change.run_id] = change.after

    def request_cancel(self, run_id: str, reason: str, message: str) -> None:
        """Note that the worker that holds the run is to stop it; the last request counts.

        Wakes `run:<id>`. The row's version rises, so that whoever saves the run at the same time
        sees the request first.

        Raises:
            RunNotFound: There is none.
        """
        now_us = self._transaction.now_us
        statement = (
            update(op_runs)
            .where(op_runs.c.id == run_id)
            .values(
                version=op_runs.c.version + 1,
                cancel_reason=reason,
                cancel_message=message,
                cancel_requested_us=now_us,
            )
        )
        if self._connection.execute(statement).rowcount == 0:
            raise RunNotFound(run_id)
        if run_id in self._loaded:
            self._loaded[run_id].version += 1
            self._loaded[run_id].cancel = CancelIntent(reason, message, from_us(now_us))
        self._transaction.wake(f"run:{run_id}")

    def cancel_intent(self, run_id: str) -> CancelIntent | None:
        """The cancel request that waits for the run's worker, if any."""
        loaded = self._loaded.get(run_id)
        if loaded is not None:
            return loaded.cancel
        statement = select(
            op_runs.c.cancel_reason, op_runs.c.cancel_message, op_runs.c.cancel_requested_us
        ).where(op_runs.c.id == run_id)
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else _cancel_of(dict(row))

    # --- reading many --------------------------------------------------------------------------

    def page(self, wanted: RunFilter, after: str | None, limit: int) -> list[OpRun]:
        """Runs that match, newest first.

        Args:
            wanted: Which.
            after: `position` of the last run of the page before; None starts at the newest.
            limit: How many at most.

        Raises:
            ValueError: `after` is no position.
        """
        return self.get_many(run_lists.page_of_ids(self._transaction, wanted, after, limit))

    def position(self, run: OpRun) -> str:
        """Where the run stands in `page`'s order, as text that `page` takes back."""
        return run_lists.position(run)

    def count_by_state(self) -> dict[OpRunState, int]:
        """How many runs there are in each state; every state is named."""
        return run_lists.count_by_state(self._transaction)

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[StoredEvent]:
        """Events numbered above `after`, oldest first."""
        return events_after(self._transaction, run_id, after, limit)

    def count_events(self, run_id: str, attempt: int, event_type: EventType) -> int:
        """How many events of the type an attempt has."""
        return count_events(self._transaction, run_id, attempt, event_type)

    def attempt_asked_for(self, run_id: str) -> int:
        """Number of the attempt that the last retry by hand opened; 1 when there was none."""
        return attempt_asked_for(self._transaction, run_id)

    def last_event_number(self, run_id: str) -> int:
        """Number of the run's newest event; 0 while it has none.

        Raises:
            RunNotFound: There is none.
        """
        statement = select(op_runs.c.last_event).where(op_runs.c.id == run_id)
        number = self._connection.execute(statement).scalar()
        if number is None:
            raise RunNotFound(run_id)
        return number

    def lane_heads(
        self, limit: int, now: datetime, barred: Barred = _NONE_BARRED
    ) -> list[PendingRun]:
        """The first due run of each lane of interchangeable runs; high priorities first.

        Args:
            limit: How many lanes at most.
            now: The moment.
            barred: Lanes to pass by; they do not count.
        """
        return run_queue.lane_heads(self._transaction, limit, now, barred)

    def lane(self, name: str, limit: int, now: datetime) -> list[PendingRun]:
        """The first due runs of one lane, oldest first."""
        return run_queue.lane(self._transaction, name, limit, now)

    def comes_after(self, run_id: str, limit: int = 100) -> list[str]:
        """The runs which a run comes after and that have not ended."""
        return run_positions.comes_after(self._transaction, run_id, limit)

    def ahead_in_lane(self, run: OpRun, limit: int) -> int:
        """How many runs stand before a waiting run in its lane; `limit` stands for more, too."""
        return run_positions.ahead_in_lane(self._transaction, run, limit)

    def ripen(self, now: datetime) -> int:
        """Let runs whose due time has come into the queue proper; returns how many.

        The dispatcher calls this once a tick, so that they count by priority and not by due time.
        """
        return run_queue.ripen(self._transaction, now)

    def next_due(self) -> datetime | None:
        """When the next delayed run becomes due; None when none is delayed."""
        return run_queue.next_due(self._transaction)

    def overdue(self, now: datetime, limit: int) -> list[Overdue]:
        """Runs past `queue_s` or `total_s`, longest first; TOTAL where both are over.

        Without those that their worker was asked to stop already: a cancel outranks a timeout.
        """
        return run_queue.overdue(self._transaction, now, limit)

    def prune_ended(self, before: datetime, limit: int) -> int:
        """Delete runs that ended before the moment, with attempts, events, logs and links.

        Args:
            before: Runs that ended before it go, oldest first.
            limit: How many at most, so that the writer stays free.

        Returns:
            How many were deleted.
        """
        return run_queue.prune_ended(self._transaction, before, limit)

    # --- inside --------------------------------------------------------------------------------

    def _remembered(self, rows: Sequence[Sequence[Any]]) -> OpRun:
        first = dict(zip(_RUN_COLUMNS, rows[0], strict=False))
        attempts = [row for each in rows if (row := _attempt_part(each))["attempt"] is not None]
        run = run_rows.run_from(first, attempts)
        self._loaded[run.id] = Loaded(
            version=first["version"],
            last_event=first["last_event"],
            before=Before(run.state, len(attempts), run_rows.schedule_part(first), first["awaits"]),
            attempts={row["attempt"]: row for row in attempts},
            cancel=_cancel_of(first),
        )
        return run

    def _change(self, run: OpRun) -> Change:
        loaded = self._loaded.get(run.id)
        if loaded is None:
            raise LookupError(f"run {run.id} is saved by a unit of work that did not load it")
        return Change(run, loaded, self._transaction.now_us)


def _attempt_part(row: Sequence[Any]) -> Row:
    """The attempt's columns of a joined row, as `run_rows.attempt_row` makes them."""
    found = dict(zip(ATTEMPT_COLUMNS, row[len(_RUN_COLUMNS) :], strict=True))
    return {"run_id": row[0], **found}


def _cancel_of(row: Mapping[Any, Any]) -> CancelIntent | None:
    requested_us = row["cancel_requested_us"]
    if requested_us is None:
        return None
    return CancelIntent(row["cancel_reason"], row["cancel_message"], from_us(requested_us))

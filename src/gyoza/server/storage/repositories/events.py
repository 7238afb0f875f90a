"""The timelines: every event enters through `record_events`, with its outbox rows.

Numbers are given by the caller, who holds the run's row; reading is by run and number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from gyoza.models import EventEntry, EventType, NewEvent
from gyoza.server.storage.instants import from_us, to_us
from gyoza.server.storage.records import StoredEvent
from gyoza.server.storage.repositories.run_rows import from_text, to_text
from gyoza.server.storage.schema import events, outbox
from gyoza.server.storage.statements import ManyRows
from gyoza.server.storage.transaction import Transaction
from gyoza.wire import strict_json


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """A new event with its place in the run's timeline."""

    run_id: str
    number: int
    event: NewEvent


_NO_TEXT = '""'
_COLUMNS = (
    events.c.number,
    events.c.attempt,
    events.c.t_us,
    events.c.type,
    events.c.msg,
    events.c.payload,
)
_INSERT_EVENTS = ManyRows(insert(events))
_INSERT_OUTBOX = ManyRows(insert(outbox))
_AFTER = (
    select(*_COLUMNS)
    .where(events.c.run_id == bindparam("run"), events.c.number > bindparam("after"))
    .order_by(events.c.number)
    .limit(bindparam("count"))
)
_NEWEST = (
    select(*_COLUMNS)
    .where(events.c.run_id == bindparam("run"))
    .order_by(events.c.number.desc())
    .limit(bindparam("count"))
)
_COUNT = select(func.count()).where(
    events.c.run_id == bindparam("run"),
    events.c.attempt == bindparam("number"),
    events.c.type == bindparam("kind"),
)

_BEFORE = events.alias("before")
_RETRIES = (
    select(events.c.attempt, _BEFORE.c.payload)
    .join(
        _BEFORE,
        (_BEFORE.c.run_id == events.c.run_id) & (_BEFORE.c.number == events.c.number - 1),
    )
    .where(events.c.run_id == bindparam("run"), events.c.type == EventType.RETRIED.value)
    .order_by(events.c.number.desc())
)


def record_events(transaction: Transaction, recorded: Sequence[NumberedEvent]) -> None:
    """Store events and, in the same transaction, one outbox row per destination that wants them.

    Wakes `run:<id>` for each run and `events`.
    """
    if not recorded:
        return
    now_us = transaction.now_us
    connection = transaction.connection
    _INSERT_EVENTS.execute(connection, [_row(each, now_us) for each in recorded])
    _INSERT_OUTBOX.execute(connection, list(_outbox_rows(transaction, recorded)))
    for each in recorded:
        transaction.wake(f"run:{each.run_id}")
    transaction.wake("events")


def events_after(
    transaction: Transaction, run_id: str, after: int, limit: int
) -> list[StoredEvent]:
    """Events numbered above `after`, oldest first."""
    given = {"run": run_id, "after": after, "count": limit}
    return [_stored(row) for row in transaction.connection.execute(_AFTER, given)]


def count_events(transaction: Transaction, run_id: str, attempt: int, event_type: EventType) -> int:
    """How many events of the type an attempt has."""
    given = {"run": run_id, "number": attempt, "kind": event_type.value}
    return transaction.connection.execute(_COUNT, given).scalar_one()


def attempt_asked_for(transaction: Transaction, run_id: str) -> int:
    """Number of the attempt that the last retry by hand opened; 1 when there was none.

    An automatic retry follows, in one transaction, an end that says it is not final.
    """
    for row in transaction.connection.execute(_RETRIES, {"run": run_id}):
        if from_text(row.payload).get("final") is not False:
            return row.attempt
    return 1


def newest_events(transaction: Transaction, run_id: str, limit: int) -> list[StoredEvent]:
    """The newest events of a run, oldest of them first."""
    given = {"run": run_id, "count": limit}
    return [_stored(row) for row in transaction.connection.execute(_NEWEST, given)][::-1]


def _row(recorded: NumberedEvent, now_us: int) -> dict[str, Any]:
    entry = recorded.event.entry
    return {
        "run_id": recorded.run_id,
        "number": recorded.number,
        "attempt": recorded.event.attempt,
        "t_us": to_us(entry.t),
        "type": entry.type.value,
        # Text and numbers are both allowed, so that JSON says which of them it was.
        "msg": _NO_TEXT if entry.msg == "" else strict_json.dumps_text(entry.msg),
        "payload": to_text(entry.payload),
        "recorded_us": now_us,
    }


def _outbox_rows(
    transaction: Transaction, recorded: Sequence[NumberedEvent]
) -> Iterable[dict[str, Any]]:
    for each in recorded:
        for destination in transaction.destinations:
            if destination.wants(each.event.entry.type):
                yield {
                    "run_id": each.run_id,
                    "number": each.number,
                    "destination": destination.name,
                    "created_us": transaction.now_us,
                }


def _stored(row: Any) -> StoredEvent:
    number, attempt, t_us, event_type, text, payload = row
    msg = "" if text == _NO_TEXT else strict_json.loads(text)
    entry = EventEntry(from_us(t_us), EventType(event_type), msg, from_text(payload))
    return StoredEvent(number, attempt, entry)

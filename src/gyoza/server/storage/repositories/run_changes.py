"""The guarded save: what has become of a run, compared with what was loaded, as statements.

Nothing is decided here; a run that somebody else has written since is not written at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, update

from gyoza.models import OpRun, OpRunState
from gyoza.models.lifecycle import is_terminal
from gyoza.server.errors import Superseded
from gyoza.server.storage.deadlines import Before, schedule_of
from gyoza.server.storage.lanes import awaits_of, key_of
from gyoza.server.storage.records import CancelIntent
from gyoza.server.storage.repositories import run_rows
from gyoza.server.storage.repositories.events import NumberedEvent, record_events
from gyoza.server.storage.repositories.run_rows import ATTEMPT_COLUMNS, Row
from gyoza.server.storage.schema import op_attempts, op_runs
from gyoza.server.storage.statements import ManyRows, given
from gyoza.server.storage.transaction import Transaction

_NO_CANCEL: Final = {"cancel_reason": None, "cancel_message": None, "cancel_requested_us": None}
_MOVING: Final = (
    "state",
    "phase",
    "reason",
    "priority",
    "preemptible",
    "image_digest",
    "raised_ram_mb",
    "raised_vram_mb",
    "fence",
    "due_us",
    "updated_us",
    "attempt",
    "lane",
    "awaits",
    "queued_us",
    "held_until_us",
    "queue_deadline_us",
    "total_deadline_us",
    "ended_us",
    "last_event",
)
_SAVE: Final = (
    update(op_runs)
    .where(op_runs.c.id == given("id"), op_runs.c.version == given("version"))
    .values(version=op_runs.c.version + 1, **{name: given(name) for name in _MOVING})
)
_SAVE_MANY: Final = ManyRows(_SAVE)
_SAVE_MANY_AND_FORGET_CANCEL: Final = ManyRows(_SAVE.values(**_NO_CANCEL))
_SAVE_ATTEMPTS: Final = ManyRows(
    update(op_attempts)
    .where(op_attempts.c.run_id == given("run_id"), op_attempts.c.attempt == given("attempt"))
    .values({name: given(name) for name in ATTEMPT_COLUMNS if name != "attempt"})
)
ADD_ATTEMPTS: Final = ManyRows(insert(op_attempts))
_HELD: Final = (OpRunState.ASSIGNED, OpRunState.RUNNING)


@dataclass(slots=True)
class Loaded:
    """What is stored of a run, to compare with what it has become."""

    version: int
    last_event: int
    before: Before
    attempts: dict[int, Row]
    cancel: CancelIntent | None


class Change:
    """What has to be written of one run.

    Args:
        run: As it is to be stored; gives up the events it collected.
        loaded: As it is stored.
        now_us: The transaction's time.
    """

    def __init__(self, run: OpRun, loaded: Loaded, now_us: int) -> None:
        collected = run.collect_events()
        schedule = schedule_of(run, now_us, loaded.before)
        rows = [run_rows.attempt_row(run, attempt) for attempt in run.attempts]
        last_event = loaded.last_event + len(collected)
        stored = loaded.attempts
        self.run_id = run.id
        self.key = key_of(run)
        self.row: Row = {
            **run_rows.moving_row(run, schedule),
            "last_event": last_event,
            "id": run.id,
            "version": loaded.version,
        }
        self.forgets_cancel = run.is_terminal or len(rows) != loaded.before.attempt
        self.new_attempts = [row for row in rows if row["attempt"] not in stored]
        self.changed_attempts = [
            row for row in rows if row["attempt"] in stored and row != stored[row["attempt"]]
        ]
        self.events = [
            NumberedEvent(run.id, number, event)
            for number, event in enumerate(collected, loaded.last_event + 1)
        ]
        self.ends = run.is_terminal and not is_terminal(loaded.before.state)
        self.frees_a_place = run.state is not loaded.before.state and run.state not in _HELD
        self.after = Loaded(
            version=loaded.version + 1,
            last_event=last_event,
            before=Before(run.state, len(rows), schedule, awaits_of(run)),
            attempts={row["attempt"]: row for row in rows},
            cancel=None if self.forgets_cancel else loaded.cancel,
        )


def write_changes(transaction: Transaction, changes: Sequence[Change]) -> None:
    """Write many changes by one statement per table and announce them.

    Raises:
        Superseded: Somebody else wrote one of the runs since it was loaded.
    """
    connection = transaction.connection
    _guarded(transaction, _SAVE_MANY, [each.row for each in changes if not each.forgets_cancel])
    _guarded(
        transaction,
        _SAVE_MANY_AND_FORGET_CANCEL,
        [each.row for each in changes if each.forgets_cancel],
    )
    # Ended attempts first: only one of a run may be active at any moment.
    _SAVE_ATTEMPTS.execute(connection, [row for each in changes for row in each.changed_attempts])
    ADD_ATTEMPTS.execute(connection, [row for each in changes for row in each.new_attempts])
    record_events(transaction, [event for each in changes for event in each.events])
    for each in changes:
        transaction.touch_key(each.key)
        if each.ends:
            transaction.note_end(each.run_id)
    if any(each.frees_a_place for each in changes):
        transaction.wake("dispatch")


def _guarded(transaction: Transaction, statement: ManyRows, rows: Sequence[Row]) -> None:
    if statement.execute(transaction.connection, rows) != len(rows):
        ids = ", ".join(row["id"] for row in rows)
        raise Superseded(f"somebody else wrote one of {ids} at the same moment; try again")

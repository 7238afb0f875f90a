"""What a run's row says about time and the queue, worked out from the run: pure functions.

The columns exist so that the pending window and the overdue runs are found by partial indexes and
never by a scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gyoza.models import OpRun, OpRunState
from gyoza.models.lifecycle import is_terminal
from gyoza.server.storage.instants import to_us
from gyoza.server.storage.lanes import AWAITING_RUNS, awaits_of

# Longer than any machine lives, and small enough for 64 bits of microseconds.
_LONGEST_S: Final = 1e12


@dataclass(frozen=True, slots=True)
class Schedule:
    """Microseconds since the epoch; None where it does not apply.

    Attributes:
        queued_us: Since when it waits; None unless PENDING. Who waited for other runs waits anew
            once they are over.
        held_until_us: Its due time while that lies ahead, None when it may be placed at once.
        queue_deadline_us: When its waiting becomes too long; counted from its due time if that is
            later than its queueing. None while it waits for other runs.
        total_deadline_us: When it must be over, counted from its creation or its last retry out of
            a terminal state; None once it is over.
        ended_us: When it was over; None before.
    """

    queued_us: int | None = None
    held_until_us: int | None = None
    queue_deadline_us: int | None = None
    total_deadline_us: int | None = None
    ended_us: int | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What the row said when the run was loaded; `awaits` is why it stood beside the queue."""

    state: OpRunState
    attempt: int
    schedule: Schedule
    awaits: str | None = None


def schedule_of(run: OpRun, now_us: int, before: Before | None = None) -> Schedule:
    """Work out the schedule of a run that is about to be written.

    Args:
        run: The run as it will be stored.
        now_us: The transaction's time.
        before: What is stored; None for a new run.
    """
    if run.is_terminal:
        ended_us = before.schedule.ended_us if before is not None else None
        return Schedule(ended_us=now_us if ended_us is None else ended_us)
    total = _total_deadline(run, now_us, before)
    if run.state is not OpRunState.PENDING:
        return Schedule(total_deadline_us=total)
    queued = _queued(run, now_us, before)
    due = to_us(run.due_at)
    ready = queued if due is None else max(queued, due)
    return Schedule(
        queued_us=queued,
        held_until_us=due if due is not None and due > now_us else None,
        queue_deadline_us=None if _awaits_runs(run) else _after(ready, run.timeouts.queue_s),
        total_deadline_us=total,
    )


def _total_deadline(run: OpRun, now_us: int, before: Before | None) -> int | None:
    if before is None:
        return _after(to_us(run.created_at), run.timeouts.total_s)
    if is_terminal(before.state):  # it was over, and somebody retried it
        return _after(now_us, run.timeouts.total_s)
    return before.schedule.total_deadline_us


def _queued(run: OpRun, now_us: int, before: Before | None) -> int:
    waits_on = (
        before is not None
        and before.state is OpRunState.PENDING
        and before.attempt == len(run.attempts)
        and (before.awaits != AWAITING_RUNS or _awaits_runs(run))
    )
    queued = before.schedule.queued_us if before is not None and waits_on else None
    return now_us if queued is None else queued


def _awaits_runs(run: OpRun) -> bool:
    return awaits_of(run) == AWAITING_RUNS


def _after(start_us: int, seconds: float | None) -> int | None:
    if seconds is None:
        return None
    return start_us + round(min(seconds, _LONGEST_S) * 1_000_000)

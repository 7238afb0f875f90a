"""How a run came to where it is: its attempts in order, and what decided about each."""

from __future__ import annotations

from typing import Any

from gyoza.models import EventEntry, EventType, OpAttempt, OpRun
from gyoza.models.lifecycle import is_terminal
from gyoza.models.timestamps import format_time
from gyoza.wire.messages import JsonObject


def attempt_documents(run: OpRun) -> list[JsonObject]:
    """Return the chain of a run's attempts, the first one first.

    Args:
        run: Read with its events; where they are gone, nothing is said about what decided.
    """
    return [_document(attempt, run) for attempt in run.attempts]


def _document(attempt: OpAttempt, run: OpRun) -> JsonObject:
    end = _end_of(attempt)
    told: dict[str, Any] = {} if end is None else end.payload
    return {
        "attempt": attempt.attempt,
        "state": attempt.state.value,
        "reason": attempt.reason,
        "reported": told.get("reported"),
        "message": "" if end is None else str(end.msg),
        "worker_id": attempt.execution_summary.worker_id,
        "gpu_uuid": attempt.gpu_uuid,
        "charged": attempt.charged if is_terminal(attempt.state) else None,
        "exit_code": attempt.exit_code,
        "duration_ms": attempt.execution_summary.duration_ms,
        "started_at": format_time(attempt.started_at) if attempt.started_at else None,
        "finished_at": format_time(attempt.finished_at) if attempt.finished_at else None,
        "decision": told.get("retry"),
        "retry_at": told.get("retry_at"),
        "constraints": attempt.constraints.to_dict(),
        "next": _next(attempt, told, run),
    }


def _next(attempt: OpAttempt, told: dict[str, Any], run: OpRun) -> str:
    """What followed: retried (by the policy), by_hand, end (of the run), none (not over)."""
    if not is_terminal(attempt.state):
        return "none"
    if attempt is run.attempts[-1]:
        return "end"
    return "retried" if told.get("final") is False else "by_hand"


def _end_of(attempt: OpAttempt) -> EventEntry | None:
    kinds = (EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED)
    return next((each for each in reversed(attempt.events) if each.type in kinds), None)

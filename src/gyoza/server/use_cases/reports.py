"""Taking in what workers report: phases, events, logs and results, each item on its own.

Per item the token is checked before the fence and the fence before anything else, so that a
superseded worker changes nothing. Everything of an item is taken or nothing is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from gyoza.models import EventType, OpRun
from gyoza.server.storage.records import HeldAttempt, LogPiece
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import STOPPING
from gyoza.server.use_cases.moments import moment_of
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.results import missing_artifact, take_result
from gyoza.server.use_cases.sessions import active_session
from gyoza.server.use_cases.tokens import is_token_of
from gyoza.wire.messages import (
    Report,
    ReportAnswer,
    Reported,
    ReportedEvent,
    ReportedLog,
    ReportItem,
    Result,
)

_MAX_PHASE_CHARS: Final = 32

Numbered = TypeVar("Numbered", ReportedEvent, ReportedLog)


def report(uow: UnitOfWork, worker_id: str, command: Report, outside: Outside) -> Reported:
    """Take in one batch of a worker; every item is answered on its own.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    active_session(uow, worker_id, command.session_id)
    return Reported(items=[_take(uow, worker_id, item, outside) for item in command.items])


def result_digest(result: Result) -> str:
    """Return what names a result, so that the same one is known when it comes again."""
    plain = msgspec.json.encode(msgspec.to_builtins(result), order="deterministic")
    return hashlib.sha256(plain).hexdigest()


def _take(uow: UnitOfWork, worker_id: str, item: ReportItem, outside: Outside) -> ReportAnswer:
    answer = ReportAnswer(run_id=item.run_id, fence=item.fence, status="OK")
    if not is_token_of(item.token, uow.cluster().secret, item.run_id, item.fence):
        answer.status, answer.detail = "INVALID", "the token is not this attempt's"
        return answer
    held = uow.assignments.find(item.run_id, item.fence)
    if held is None or held.worker_id != worker_id:
        return _late(uow, worker_id, item, answer, outside)
    if _has_gap(item, held, answer):
        return answer
    missing = missing_artifact(uow, item.result) if item.result else None
    if missing is not None:
        answer.status, answer.detail = "INVALID", missing
        return answer
    _apply(uow, held, item, outside)
    return answer


def _late(
    uow: UnitOfWork, worker_id: str, item: ReportItem, answer: ReportAnswer, outside: Outside
) -> ReportAnswer:
    known = uow.assignments.closed_result_digest(item.run_id, item.fence)
    if item.result is not None and known == result_digest(item.result):
        outside.tally.count("result answered again")
        return answer  # the answer to the first one was lost on the way
    outside.tally.note(
        "stale write refused",
        run=item.run_id,
        fence=item.fence,
        worker=worker_id,
        result=item.result.outcome if item.result else None,
    )
    answer.status, answer.detail = "STALE", "the attempt is over or elsewhere; stop and discard"
    return answer


def _has_gap(item: ReportItem, held: HeldAttempt, answer: ReportAnswer) -> bool:
    events = _first_missing(item.events, held.last_event_seq)
    logs = _first_missing(item.logs, held.last_log_seq)
    if events is None and logs is None:
        return False
    answer.status = "GAP"
    answer.expected_event_seq, answer.expected_log_seq = events, logs
    answer.detail = "something before this did not arrive; send again from the numbers expected"
    return True


def _first_missing(pieces: Sequence[Numbered], last: int) -> int | None:
    for piece in pieces:
        if piece.seq > last + 1:
            return last + 1
        last = max(last, piece.seq)
    return None


def _apply(uow: UnitOfWork, held: HeldAttempt, item: ReportItem, outside: Outside) -> None:
    now = uow.now()
    events = _unseen(item.events, held.last_event_seq)
    logs = _unseen(item.logs, held.last_log_seq)
    if events or logs:
        uow.assignments.set_sequences(
            held.run_id,
            held.fence,
            events[-1].seq if events else held.last_event_seq,
            logs[-1].seq if logs else held.last_log_seq,
        )
    pieces = [LogPiece(moment_of(each.t_us, now), each.stream, each.text) for each in logs]
    uow.logs.append(held.run_id, held.attempt, pieces)
    if not events and item.phase is None and item.result is None:
        return
    run = uow.runs.get(held.run_id)
    # First, since a start ends the phase that led to it, and both often come in one report.
    if item.phase is not None and run.phase != STOPPING:
        run.phase = item.phase[:_MAX_PHASE_CHARS] or None
        uow.wake(f"run:{run.id}")
    for event in events:
        _add_event(run, event, now)
    if item.result is None:
        uow.runs.save(run)
    else:
        take_result(uow, run, held, item.result, result_digest(item.result), outside)


def _unseen(pieces: Sequence[Numbered], last: int) -> list[Numbered]:
    found: dict[int, Numbered] = {}
    for piece in pieces:
        if piece.seq > last:
            found.setdefault(piece.seq, piece)
    return [found[seq] for seq in sorted(found)]


def _add_event(run: OpRun, event: ReportedEvent, now: datetime) -> None:
    """Record an event; one that the run cannot take is recorded as an ERROR that says so.

    Refusing it would make the worker send it again for ever, and hide it from the op's author.
    """
    moment = moment_of(event.t_us, now)
    phase = run.phase
    try:
        run.add_event(EventType(event.type), event.msg, event.payload, now=moment)
    except ValueError as error:
        payload = {"type": event.type, "msg": event.msg, "reason": "EVENT_REFUSED"}
        run.add_event(EventType.ERROR, f"event refused: {error}", payload, now=moment)
    if phase == STOPPING:
        run.phase = STOPPING  # a change of state forgets the phase; a request to stop outlives it

"""How attempts end: the one place that closes an attempt, decides its retry and records both.

Whoever ends a run's work (a report, a cancel, a lost lease, a deadline) comes through here, so that
the run, its events, what the worker holds and what follows change in one transaction or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gyoza.models import OpRun
from gyoza.server.storage.records import CancelIntent
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.retry_policy import Decision, Failure, NoRetry, Retry, decide_retry
from gyoza.wire.messages import JsonObject

CANCELLED = "CANCELLED"
TOTAL_TIMEOUT = "TOTAL_TIMEOUT"
STOPPING = "STOPPING"
BACKOFF = "BACKOFF"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended.

    Attributes:
        outcome: What becomes of it.
        message: For people.
        failure: For FAILED, what the retry decision needs.
        reason: For CANCELLED, the reason.
        outputs: For COMPLETED.
        exit_code: Of the container; None when there was none.
        payload: Further details for the event.
    """

    outcome: Literal["COMPLETED", "FAILED", "CANCELLED"]
    message: str = ""
    failure: Failure | None = None
    reason: str = CANCELLED
    outputs: JsonObject = field(default_factory=dict[str, object])
    exit_code: int | None = None
    payload: JsonObject = field(default_factory=dict[str, object])


def failed(
    reason: str, message: str, *, charged: bool, payload: JsonObject | None = None
) -> Ending:
    """Return the ending of an attempt that failed without a container's result."""
    failure = Failure(reason, charged=charged)
    return Ending("FAILED", message, failure=failure, payload=payload or {})


def ending_of(intent: CancelIntent) -> Ending:
    """Return the ending that a request to stop leads to."""
    if intent.reason == TOTAL_TIMEOUT:
        return failed(TOTAL_TIMEOUT, intent.message, charged=False)
    return Ending("CANCELLED", intent.message, reason=intent.reason)


def end_run(uow: UnitOfWork, run: OpRun, ending: Ending, outside: Outside) -> None:
    """End the current attempt, open the next one if it is to be retried, and record all of it.

    Args:
        uow: The unit of work that loaded the run.
        run: Not terminal.
        ending: How it ended.
        outside: Settings and jitter of the retry.
    """
    if ending.outcome == "COMPLETED":
        run.complete(
            ending.message,
            outputs=ending.outputs,
            exit_code=ending.exit_code,
            payload=ending.payload,
            now=uow.now(),
        )
    elif ending.outcome == "CANCELLED":
        run.cancel(ending.message, reason=ending.reason, payload=ending.payload, now=uow.now())
        run.current_attempt.exit_code = ending.exit_code
    else:
        _fail(uow, run, ending, outside)
    uow.runs.save(run)


def let_go(
    uow: UnitOfWork, run_id: str, fence: int, *, digest: str | None = None, free: bool = True
) -> None:
    """Take an attempt out of its worker's hands.

    Args:
        uow: The unit of work.
        run_id: The run.
        fence: The fence it is held under.
        digest: Names the result that closed it; None when none did.
        free: Whether its resources are free. Those of a lost attempt are not: its container may
            still run, until the worker says otherwise.
    """
    uow.assignments.close(run_id, fence, digest)
    if free:
        uow.assignments.free(run_id, fence)


def lose(uow: UnitOfWork, run: OpRun, message: str, outside: Outside) -> None:
    """End an attempt whose worker is gone: uncharged, and retried unless somebody cancelled it."""
    intent = uow.runs.cancel_intent(run.id)
    ending = failed("WORKER_LOST", message, charged=False) if intent is None else ending_of(intent)
    end_run(uow, run, ending, outside)


def give_back(uow: UnitOfWork, run: OpRun, message: str, outside: Outside) -> None:
    """Let an unstarted assignment wait again: ASSIGNED -> PENDING under the next fence.

    Args:
        uow: The unit of work that loaded the run.
        run: ASSIGNED.
        message: Why, for people.
        outside: Used when somebody cancelled the run meanwhile; then it ends instead.
    """
    fence = run.fence
    intent = uow.runs.cancel_intent(run.id)
    if intent is None:
        run.release(now=uow.now(), msg=message)
        uow.runs.save(run)
    else:
        end_run(uow, run, ending_of(intent), outside)
    let_go(uow, run.id, fence)


def _fail(uow: UnitOfWork, run: OpRun, ending: Ending, outside: Outside) -> None:
    failure = ending.failure or Failure("WORKER_ERROR", charged=False)
    now = uow.now()
    decision = decide_retry(run, failure, now=now, random=outside.random, settings=outside.settings)
    run.fail(
        ending.message,
        reason=failure.reason,
        charged=failure.charged,
        exit_code=ending.exit_code,
        payload={**ending.payload, **_verdict(decision)},
        now=now,
    )
    if isinstance(decision, Retry):
        run.retry(force=True, now=now, due_at=decision.due_at)
        run.phase = BACKOFF if decision.due_at > now else None


def _verdict(decision: Decision) -> JsonObject:
    # Only a FAILED that is not the end says so; readers of old events need not know the word.
    if isinstance(decision, NoRetry):
        return {"retry": decision.reason}
    return {"final": False, "retry": decision.reason}

"""How attempts end: the one place that closes an attempt, decides its retry and records both.

Whoever ends a run's work (a report, a cancel, a lost lease, a deadline) comes through here, so that
the run, its events, what the worker holds and what follows change in one transaction or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gyoza.models import OpRun, OpRunState
from gyoza.models.timestamps import format_time
from gyoza.server.storage.lanes import stand_in_line
from gyoza.server.storage.preemptions import MOST_PREEMPTIONS, PREEMPTED, preemptions
from gyoza.server.storage.records import CancelIntent, HeldAttempt
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.retry_policy import Failure, NoRetry, Retry, decide_retry

CANCELLED: Final = "CANCELLED"
QUEUE_TIMEOUT: Final = "QUEUE_TIMEOUT"
TOTAL_TIMEOUT: Final = "TOTAL_TIMEOUT"
STOPPING: Final = "STOPPING"
BACKOFF: Final = "BACKOFF"
POISON: Final = "POISON"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an ending beside its reason.

    Attributes:
        message: For people.
        exit_code: Of the container; None when there was none.
        payload: Details for the event.
    """

    message: str = ""
    exit_code: int | None = None
    payload: dict[str, Any] = field(default_factory=dict[str, Any])


def fail_attempt(
    uow: UnitOfWork, run: OpRun, failure: Failure, evidence: Evidence, outside: Outside
) -> None:
    """Close the current attempt as FAILED and open the next one if it is to be retried.

    Nobody can read the FAILED in between: both are saved at once, and the event of the closed
    attempt says `final: false`.
    """
    now = uow.now()
    decision = decide_retry(
        run,
        failure,
        now=now,
        random=outside.random,
        settings=outside.settings,
        # Only the machinery's budget asks, which is rarely needed.
        since=1 if failure.charged else uow.runs.attempt_asked_for(run.id),
    )
    verdict: dict[str, Any] = {"retry": decision.reason}
    if isinstance(decision, Retry):
        verdict |= {"final": False, "retry_at": format_time(decision.due_at)}
    reason, message = failure.reason, evidence.message
    if isinstance(decision, NoRetry) and decision.poison:
        reason, message = POISON, f"{message}; {decision.reason}"
        verdict["reported"] = failure.reason
        outside.tally.note("poison run ended", run=run.id, worker=run.worker_id)
    run.fail(
        message,
        reason=reason,
        charged=failure.charged,
        exit_code=evidence.exit_code,
        payload={**evidence.payload, **verdict},
        now=now,
    )
    if isinstance(decision, Retry):
        run.retry(force=True, now=now, due_at=decision.due_at, constraints=decision.constraints)
        run.phase = BACKOFF if decision.due_at > now else None
        stand_in_line(run, now)
    uow.runs.save(run)


def end_as_asked(
    uow: UnitOfWork, run: OpRun, intent: CancelIntent, evidence: Evidence | None = None
) -> None:
    """End a run because somebody asked for it: CANCELLED, or FAILED when its time was over.

    What only gives way to a more urgent run waits again instead.

    Args:
        uow: The unit of work that loaded the run.
        run: Not terminal.
        intent: Who asked, and why.
        evidence: What the worker said about the end; None when no worker was involved.
    """
    found = evidence or Evidence()
    if intent.reason == PREEMPTED:
        _wait_again(run, intent, found, uow.now())
    elif intent.reason == CANCELLED:
        run.cancel(intent.message, payload=found.payload, now=uow.now())
        run.current_attempt.exit_code = found.exit_code
    else:
        run.fail(
            intent.message,
            reason=intent.reason,
            charged=False,
            exit_code=found.exit_code,
            payload=found.payload,
            now=uow.now(),
        )
    uow.runs.save(run)


def _wait_again(run: OpRun, intent: CancelIntent, found: Evidence, now: datetime) -> None:
    """Close the attempt at nobody's cost and open the next, due now; nobody reads the CANCELLED."""
    times = preemptions(run) + 1
    left = "and waits again" if times < MOST_PREEMPTIONS else "and will not give way again"
    said = f"gave way {times} of at most {MOST_PREEMPTIONS} times, uses up no attempt, {left}"
    payload = {**found.payload, "retry": said, "final": False, "retry_at": format_time(now)}
    run.cancel(intent.message, reason=PREEMPTED, payload=payload, now=now)
    run.current_attempt.charged = False
    run.current_attempt.exit_code = found.exit_code
    run.retry(force=True, now=now)
    run.phase = None
    stand_in_line(run, now)


def lose_attempt(uow: UnitOfWork, run: OpRun, message: str, outside: Outside) -> None:
    """End an attempt whose worker is gone: uncharged, and retried unless it was to be stopped."""
    intent = uow.runs.cancel_intent(run.id)
    if intent is None or intent.reason == PREEMPTED:
        failure = Failure("WORKER_LOST", charged=False)
        fail_attempt(uow, run, failure, Evidence(message), outside)
    else:
        end_as_asked(uow, run, intent, Evidence(payload={"worker": message}))


def give_back(uow: UnitOfWork, run: OpRun, message: str) -> None:
    """Let an unstarted assignment wait again: ASSIGNED -> PENDING under the next fence.

    Args:
        uow: The unit of work that loaded the run.
        run: ASSIGNED. If it was to be stopped, it ends instead, as it was asked to.
        message: Why, for people.
    """
    fence = run.fence
    intent = uow.runs.cancel_intent(run.id)
    if intent is None:
        run.release(now=uow.now(), msg=message)
        stand_in_line(run, uow.now())
        uow.runs.save(run)
    else:
        end_as_asked(uow, run, intent)
    let_go(uow, run.id, fence)


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


def stop_run(uow: UnitOfWork, run: OpRun, reason: str, message: str) -> bool:
    """End a run at once if nobody works on it, else ask its worker to stop.

    Args:
        uow: The unit of work that loaded the run.
        run: Not terminal.
        reason: CANCELLED, or the timeout that is over.
        message: For people.

    Returns:
        Whether the run is over.
    """
    intent = CancelIntent(reason, message, uow.now())
    if run.state is OpRunState.PENDING:
        end_as_asked(uow, run, intent)
        return True
    held = uow.assignments.find(run.id, run.fence)
    if held is None or held.claimed_at is None or held.lease_expires_at <= uow.now():
        end_as_asked(uow, run, intent)
        let_go(uow, run.id, run.fence, free=held is None or held.claimed_at is None)
        return True
    ask_to_stop(uow, run, held, intent)
    return False


def ask_to_stop(uow: UnitOfWork, run: OpRun, held: HeldAttempt, intent: CancelIntent) -> None:
    """Have the worker that holds the attempt stop it; the last request counts."""
    uow.runs.request_cancel(run.id, intent.reason, intent.message)
    run.phase = STOPPING
    uow.runs.save(run)
    uow.wake(f"worker:{held.worker_id}")

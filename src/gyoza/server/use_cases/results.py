"""What a result makes of a run: the first one wins, and it is looked at again before it counts.

One transaction closes the attempt, sets the run, records the event, frees the reservation and
decides the retry. A request to stop that has not been carried out yet loses against COMPLETED and
wins against everything else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gyoza.models import OpRun
from gyoza.server.storage.preemptions import PREEMPTED
from gyoza.server.storage.records import HeldAttempt, source_of
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import Evidence, end_as_asked, fail_attempt, let_go
from gyoza.server.use_cases.gpu_health import note_failure, note_success
from gyoza.server.use_cases.moments import moment_of
from gyoza.server.use_cases.op_rules import output_faults
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.retry_policy import Failure, is_charged
from gyoza.wire.messages import Fault, JsonObject, Result

_SHOWN_FAULTS: Final = 20


def take_result(
    uow: UnitOfWork,
    run: OpRun,
    held: HeldAttempt,
    result: Result,
    digest: str,
    outside: Outside,
) -> None:
    """Let a result end the attempt it belongs to.

    Args:
        uow: The unit of work that loaded the run.
        run: With the events of the same report applied.
        held: The attempt, as it is held.
        result: Its artifacts are all stored.
        digest: Names the result.
        outside: Settings and jitter of the retry.
    """
    _note(run, result, uow.now())
    attempt = run.current_attempt.attempt
    faults = _output_faults(uow, run, result) if result.outcome == "COMPLETED" else []
    if result.outcome == "COMPLETED" and not faults:
        run.complete(
            result.message,
            outputs=result.outputs,
            exit_code=result.exit_code,
            payload=_details(result),
            now=uow.now(),
        )
        _learn(uow, run, result)
        note_success(uow, run, held)
        if uow.runs.cancel_intent(run.id) is not None:
            outside.tally.count("complete beat cancel")
        uow.runs.save(run)
    else:
        _end_otherwise(uow, run, held, result, faults, outside)
    uow.artifacts.link(run.id, attempt, result.artifacts)
    let_go(uow, run.id, held.fence, digest=digest)


def missing_artifact(uow: UnitOfWork, result: Result) -> str | None:
    """Say which of a result's files was never uploaded; None when all are stored."""
    for ref in result.artifacts:
        if uow.artifacts.find(ref.sha256) is None:
            return f"artifact {ref.sha256} of {ref.name!r} is not stored; upload it, report again"
    return None


def _end_otherwise(
    uow: UnitOfWork,
    run: OpRun,
    held: HeldAttempt,
    result: Result,
    faults: list[Fault],
    outside: Outside,
) -> None:
    evidence = Evidence(result.message, result.exit_code, _details(result))
    intent = uow.runs.cancel_intent(run.id)
    # What ended by itself before it could give way has ended as it did.
    if intent is not None and (intent.reason != PREEMPTED or result.outcome == "CANCELLED"):
        is_preempted = intent.reason == PREEMPTED
        outside.tally.count("attempt preempted" if is_preempted else "cancel beat complete")
        end_as_asked(uow, run, intent, evidence)
    elif faults:
        shown = [{"pointer": each.pointer, "message": each.message} for each in faults]
        text = "; ".join(f"{each.pointer}: {each.message}" for each in faults[:_SHOWN_FAULTS])
        details = {**evidence.payload, "errors": shown[:_SHOWN_FAULTS]}
        broken = Evidence(f"outputs are not as declared: {text}", result.exit_code, details)
        note_failure(uow, run, held, "OUTPUT_INVALID", outside)
        fail_attempt(uow, run, Failure("OUTPUT_INVALID"), broken, outside)
    else:
        failure = _failure(result)
        note_failure(uow, run, held, failure.reason, outside)
        fail_attempt(uow, run, failure, evidence, outside)


def _failure(result: Result) -> Failure:
    if result.outcome == "CANCELLED":  # nobody asked: the worker stopped it for reasons of its own
        return Failure("WORKER_ERROR", charged=False)
    reason = result.reason or "USER_ERROR"
    return Failure(
        reason,
        charged=is_charged(reason, result.charged),
        retryable=result.retryable,
        retry_after_ms=result.retry_after_ms,
        exit_code=result.exit_code,
    )


def _output_faults(uow: UnitOfWork, run: OpRun, result: Result) -> list[Fault]:
    if run.op_definition is None:
        return []
    definition = uow.definitions.find(run.op_definition, run.op_version)
    return output_faults(definition.output_specs, result.outputs) if definition else []


def _note(run: OpRun, result: Result, now: datetime) -> None:
    attempt = run.current_attempt
    attempt.image_digest = result.image_digest
    if result.duration_ms is not None:
        attempt.execution_summary.duration_ms = max(0, result.duration_ms)
    if attempt.started_at is None and result.started_at_us is not None:
        attempt.started_at = moment_of(result.started_at_us, now)


def _learn(uow: UnitOfWork, run: OpRun, result: Result) -> None:
    if result.duration_ms is not None:
        image = run.image_digest or run.image
        source = source_of(run.op_definition, run.op_version, image)
        uow.run_times.learn(source, result.duration_ms / 1000)


def _details(result: Result) -> JsonObject:
    details: JsonObject = {}
    if result.exit_code is not None:
        details["exit_code"] = result.exit_code
    if result.evidence:
        details["evidence"] = result.evidence
    if result.reason and result.outcome != "COMPLETED":
        details["reported"] = result.reason
    return details

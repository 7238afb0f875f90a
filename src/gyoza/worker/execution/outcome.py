"""How an attempt ended: evidence in, result out. Pure; the one place that decides it.

| Evidence, the first that holds | Outcome, reason | Charged | Retryable |
|---|---|---|---|
| stopped: cancel | CANCELLED | yes | |
| stopped: a more urgent run needs the place | CANCELLED `PREEMPTED` | as the server says | |
| stopped: run or total timeout, disk limit | FAILED, its own | yes | all but total timeout |
| stopped: the worker ends | FAILED `WORKER_LOST` | no | yes |
| a stage failed | FAILED, the stage's reason | as it says | as it says |
| no exit code | FAILED `ENGINE_FAILURE` | no | yes |
| exit 0, outputs fine | COMPLETED | | |
| exit 0, no outputs though declared | FAILED `OUTPUT_MISSING` | yes | no |
| exit 0, outputs not as declared | FAILED `OUTPUT_INVALID` | yes | no |
| other exit, memory flag | FAILED `OOM` | yes | yes |
| 137, 143 or 255, the engine broke meanwhile | FAILED `ENGINE_FAILURE` | no | yes |
| ended by a signal that others had the engine send | FAILED `ENGINE_FAILURE` | no | yes |
| 126 or 127, the init could not run the program | FAILED `START_FAILED` | yes | no |
| exit 65 | FAILED `BAD_INPUT` | yes | no |
| exit 75 | FAILED `TRY_AGAIN` | no | yes |
| other exit | FAILED `USER_ERROR` | yes | unless `error.json` says no |

The memory flag alone proves nothing (it is also set when only a child was killed), and 137 alone
proves nothing (it is any SIGKILL): only the flag with a non-zero exit is OOM. A kill that no order
of ours explains is the machinery's only where the engine says so: it was restarted, or somebody had
it send the signal (`docker kill`, `docker stop`). Otherwise it is the op's own: most often a child
that it killed itself, or a shell that passes on how its last command ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gyoza.op import protocol
from gyoza.wire.messages import ArtifactRef, Result
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.stop import StopKind, StopOrder
from gyoza.worker.runtime.interface import ContainerState

MAX_MESSAGE_CHARS: Final = 2000
MAX_TAIL_CHARS: Final = 4000
# 255 is what an engine writes down for a container that it found dead at its own start.
_KILLED: Final = (137, 143, 255)
_NOT_RUN: Final = (126, 127)
_INIT_FAILED: Final = re.compile(r"^\[FATAL tini \(\d+\)\] exec (.+ failed: .+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class OpError:
    """What an op says of its own failure in `error.json`.

    Attributes:
        retryable: None when it does not say.
        retry_after_ms: None when it does not say.
    """

    type: str = ""
    message: str = ""
    retryable: bool | None = None
    details: Any = None
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What an op left as its outputs.

    Attributes:
        outputs: With files replaced by `{"$artifact": ...}`.
        artifacts: Every file that was stored.
        is_missing: There is no `output.json`.
        problem: Why the outputs are not taken; "" when they are.
    """

    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    artifacts: list[ArtifactRef] = field(default_factory=list[ArtifactRef])
    is_missing: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a result rests on.

    Attributes:
        finished_at_us: When the attempt ended, by the worker's clock.
        stop: The order that ended it early; None when it ended by itself.
        failure: The stage that could not go on, if one could not.
        state: The container's end; None when it never ran or is lost.
        engine_broke: The connection to the engine was lost while the container ran.
        killed_by_others: The engine sent the signal it ended by, and not for us.
        declares_outputs: The op says which outputs it has.
        output: What was collected; None when nothing was, since it did not exit 0.
        error: The op's `error.json`, if it left one.
        log_tail: The last words on its streams.
        image_digest: What ran.
    """

    finished_at_us: int
    stop: StopOrder | None = None
    failure: StageFailure | None = None
    state: ContainerState | None = None
    engine_broke: bool = False
    killed_by_others: bool = False
    declares_outputs: bool = False
    output: Output | None = None
    error: OpError | None = None
    log_tail: str = ""
    image_digest: str | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    reason: str
    message: str
    charged: bool = True
    retryable: bool = True
    outcome: str = "FAILED"


def classify(evidence: Evidence) -> Result:
    """Decide how an attempt ended."""
    verdict = _stopped(evidence) or _failed(evidence) or _exited(evidence)
    if verdict is None:
        return _completed(evidence)
    error = evidence.error
    result = _times(evidence)
    result.outcome = "CANCELLED" if verdict.outcome == "CANCELLED" else "FAILED"
    result.reason = verdict.reason
    result.message = _short(verdict.message)
    result.charged = verdict.charged
    result.retryable = verdict.retryable
    result.retry_after_ms = error.retry_after_ms if error else None
    return result


def warnings(evidence: Evidence) -> list[str]:
    """What the author should know of an attempt that is otherwise fine."""
    state = evidence.state
    if state is not None and state.oom_killed and state.exit_code == protocol.EXIT_OK:
        return ["the kernel killed a child process for memory, though the op went on to exit 0"]
    return []


def _stopped(evidence: Evidence) -> _Verdict | None:
    order = evidence.stop
    if order is None:
        return None
    match order.kind:
        case StopKind.CANCEL | StopKind.RELEASE | StopKind.DISCARD | StopKind.PREEMPTED:
            reason = "PREEMPTED" if order.kind is StopKind.PREEMPTED else "CANCELLED"
            return _Verdict(reason, order.message or "cancelled", outcome="CANCELLED")
        case StopKind.SHUTDOWN:
            message = "the worker was stopped while the run was in progress"
            return _Verdict("WORKER_LOST", message, charged=False)
        case StopKind.TOTAL_TIMEOUT:
            return _Verdict("TOTAL_TIMEOUT", order.message, retryable=False)
        case kind:
            return _Verdict(kind.name, order.message)


def _failed(evidence: Evidence) -> _Verdict | None:
    failure = evidence.failure
    if failure is None:
        return None
    words = f"{failure.message} ({failure.detail})" if failure.detail else failure.message
    return _Verdict(failure.reason, words, failure.charged, failure.retryable)


def _exited(evidence: Evidence) -> _Verdict | None:
    state = evidence.state
    if state is None or state.exit_code is None:
        words = state.error if state and state.error else "nothing is known of its end"
        return _Verdict("ENGINE_FAILURE", f"the container is lost: {words}", charged=False)
    if state.exit_code == protocol.EXIT_OK:
        return _without_outputs(evidence)
    code = state.exit_code
    return _machinery_killed(evidence, code) or _not_run(evidence, code) or _by_code(evidence, code)


def _without_outputs(evidence: Evidence) -> _Verdict | None:
    output = evidence.output or Output(is_missing=True)
    if output.problem:
        return _Verdict("OUTPUT_INVALID", output.problem, retryable=False)
    if output.is_missing and evidence.declares_outputs:
        path = f"{protocol.OUT}/{protocol.OUTPUT_FILE}"
        message = f"the op exited 0 without {path}; write its declared outputs there as JSON"
        return _Verdict("OUTPUT_MISSING", message, retryable=False)
    return None


def _machinery_killed(evidence: Evidence, exit_code: int) -> _Verdict | None:
    state = evidence.state
    if state is not None and state.oom_killed:
        message = "the kernel killed the op for memory; give it more with constraints.ram_mb"
        return _Verdict("OOM", message)
    if evidence.engine_broke and exit_code in _KILLED:
        message = f"the engine restarted and took the container with it (exit code {exit_code})"
        return _Verdict("ENGINE_FAILURE", message, charged=False)
    if evidence.killed_by_others:
        message = f"somebody ended the container through the engine (exit code {exit_code})"
        return _Verdict("ENGINE_FAILURE", message, charged=False)
    return None


def _not_run(evidence: Evidence, exit_code: int) -> _Verdict | None:
    # The engine starts its init, and only that finds out that there is no such program.
    found = _INIT_FAILED.search(evidence.log_tail) if exit_code in _NOT_RUN else None
    if found is None:
        return None
    message = f"the op's program could not be run: {found[1]}; is its command right?"
    return _Verdict("START_FAILED", message, retryable=False)


def _by_code(evidence: Evidence, exit_code: int) -> _Verdict:
    message = _words_of(evidence, exit_code)
    if exit_code == protocol.EXIT_BAD_INPUT:
        return _Verdict("BAD_INPUT", message, retryable=False)
    if exit_code == protocol.EXIT_TRY_AGAIN:
        return _Verdict("TRY_AGAIN", message, charged=False)
    is_retryable = evidence.error is None or evidence.error.retryable is not False
    return _Verdict("USER_ERROR", message, retryable=is_retryable)


def _words_of(evidence: Evidence, exit_code: int) -> str:
    error = evidence.error
    if error is not None and (error.type or error.message):
        return ": ".join(part for part in (error.type, error.message) if part)
    last = evidence.log_tail.strip().rpartition("\n")[2].strip()
    return f"exit code {exit_code}: {last}" if last else f"exit code {exit_code}"


def _completed(evidence: Evidence) -> Result:
    output = evidence.output or Output()
    result = _times(evidence)
    result.outputs = output.outputs
    result.artifacts = output.artifacts
    return result


def _times(evidence: Evidence) -> Result:
    state = evidence.state
    started_us = _microseconds(state.started_at) if state else None
    ended_us = _microseconds(state.finished_at) if state else None
    duration_ms = None
    if started_us is not None and ended_us is not None:
        duration_ms = max(0, (ended_us - started_us) // 1000)
    return Result(
        outcome="COMPLETED",
        finished_at_us=evidence.finished_at_us,
        exit_code=state.exit_code if state else None,
        started_at_us=started_us,
        duration_ms=duration_ms,
        image_digest=evidence.image_digest,
        evidence=_record(evidence),
    )


def _record(evidence: Evidence) -> dict[str, Any]:
    state, failure, error = evidence.state, evidence.failure, evidence.error
    record: dict[str, Any] = {}
    if state is not None:
        record |= {"exit_code": state.exit_code, "oom_killed": state.oom_killed}
        if state.error:
            record["engine_error"] = _short(state.error)
    if failure is not None:
        record |= {"stage": failure.stage, "detail": _short(failure.detail)}
    if evidence.stop is not None:
        record["stopped_for"] = evidence.stop.kind.name
    record |= {
        name: True for name in ("engine_broke", "killed_by_others") if getattr(evidence, name)
    }
    if error is not None:
        record["error"] = {"type": error.type, "message": error.message, "details": error.details}
    if evidence.log_tail and (state is None or state.exit_code != protocol.EXIT_OK):
        record["log_tail"] = evidence.log_tail[-MAX_TAIL_CHARS:]
    return record


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000_000)


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}..."

"""How a run and its attempts become rows, and rows become a run again: exact both ways.

Values only, no statements. What a run was asked for (inputs, policies, tags ...) is written once;
what happens to it afterwards is the moving part, which `save` writes again.
"""

from __future__ import annotations

from typing import Any, Final

from gyoza.models import (
    Constraints,
    EventDelivery,
    Execution,
    ExecutionSummary,
    OpAttempt,
    OpRun,
    OpRunState,
    RetryPolicy,
)
from gyoza.server.storage.deadlines import Schedule
from gyoza.server.storage.instants import from_us, maybe_from_us, to_us
from gyoza.server.storage.lanes import awaits_of, key_of, lane_of
from gyoza.server.storage.preemptions import may_give_way
from gyoza.wire import strict_json

Row = dict[str, Any]

_EMPTY: Final = "{}"
_POLICY: Final = RetryPolicy()
_DELIVERY: Final = EventDelivery()
_EXECUTION: Final = Execution()


def to_text(value: Any) -> str:
    """JSON text of a user's value; most are empty objects, which need no parser."""
    return strict_json.dumps_text(value) if value else _EMPTY


def from_text(text: str) -> Any:
    """The value of a column that `to_text` wrote."""
    return {} if text == _EMPTY else strict_json.loads(text)


def request_row(run: OpRun, batch_id: str | None) -> Row:
    """The columns that say what was asked for; they never change."""
    return {
        "id": run.id,
        "image": run.image,
        "inputs": to_text(run.inputs),
        "cpu": run.constraints.cpu,
        "ram_mb": run.constraints.ram_mb,
        "vram_mb": run.constraints.vram_mb,
        "retry_policy": _policy_text(run.retry_policy),
        "event_delivery": _delivery_text(run.event_delivery),
        "execution": _execution_text(run.execution),
        "selectors": to_text(run.execution.selectors),
        "op_definition": run.op_definition,
        "op_version": run.op_version,
        "owner": run.owner,
        "concurrency_key": key_of(run),
        "concurrency_limit": (run.execution.concurrency or {}).get("limit"),
        "tags": to_text(run.tags),
        "created_us": to_us(run.created_at),
        "batch_id": batch_id,
    }


def moving_row(run: OpRun, schedule: Schedule) -> Row:
    """The columns that change while a run lives, but for those of the guard."""
    return {
        "state": run.state.value,
        "phase": run.phase,
        "reason": run.reason,
        "priority": run.priority,
        "preemptible": may_give_way(run),
        "image_digest": run.image_digest,
        "raised_ram_mb": _raised(run, "ram_mb"),
        "raised_vram_mb": _raised(run, "vram_mb"),
        "fence": run.fence,
        "due_us": to_us(run.due_at),
        "updated_us": to_us(run.updated_at),
        "attempt": len(run.attempts),
        "lane": lane_of(run),
        "awaits": awaits_of(run),
        "queued_us": schedule.queued_us,
        "held_until_us": schedule.held_until_us,
        "queue_deadline_us": schedule.queue_deadline_us,
        "total_deadline_us": schedule.total_deadline_us,
        "ended_us": schedule.ended_us,
    }


def _raised(run: OpRun, name: str) -> int | None:
    if not run.attempts:
        return None
    needed: int | None = getattr(run.current_attempt.constraints, name)
    return None if needed == getattr(run.constraints, name) else needed


def attempt_row(run: OpRun, attempt: OpAttempt) -> Row:
    """The domain's columns of an attempt; who holds it is not among them."""
    summary = attempt.execution_summary
    same_inputs = attempt.inputs == run.inputs
    same_constraints = attempt.constraints == run.constraints
    return {
        "run_id": run.id,
        "attempt": attempt.attempt,
        "state": attempt.state.value,
        "progress": attempt.progress,
        "inputs": None if same_inputs else to_text(attempt.inputs),
        "constraints": None if same_constraints else to_text(attempt.constraints.to_dict()),
        "outputs": to_text(attempt.outputs),
        "duration_ms": summary.duration_ms,
        "worker_id": summary.worker_id,
        "error_message": summary.error_message,
        "gpu_id": summary.gpu_id,
        "started_us": to_us(attempt.started_at),
        "finished_us": to_us(attempt.finished_at),
        "charged": attempt.charged,
        "fence": attempt.fence,
        "reason": attempt.reason,
        "exit_code": attempt.exit_code,
        "gpu_uuid": attempt.gpu_uuid,
        "image_digest": attempt.image_digest,
    }


ATTEMPT_COLUMNS: Final = (
    "attempt",
    "state",
    "progress",
    "inputs",
    "constraints",
    "outputs",
    "duration_ms",
    "worker_id",
    "error_message",
    "gpu_id",
    "started_us",
    "finished_us",
    "charged",
    "fence",
    "reason",
    "exit_code",
    "gpu_uuid",
    "image_digest",
)


def schedule_part(row: Row) -> Schedule:
    """What the row says about time and the queue."""
    return Schedule(
        queued_us=row["queued_us"],
        held_until_us=row["held_until_us"],
        queue_deadline_us=row["queue_deadline_us"],
        total_deadline_us=row["total_deadline_us"],
        ended_us=row["ended_us"],
    )


def run_from(row: Row, attempts: list[Row]) -> OpRun:
    """The run of a row and its attempts' rows, without events."""
    inputs = from_text(row["inputs"])
    constraints = Constraints(row["cpu"], row["ram_mb"], row["vram_mb"])
    return OpRun(
        id=row["id"],
        state=OpRunState(row["state"]),
        priority=row["priority"],
        image=row["image"],
        inputs=inputs,
        constraints=constraints,
        retry_policy=_policy_from(row["retry_policy"]),
        event_delivery=_delivery_from(row["event_delivery"]),
        op_definition=row["op_definition"],
        created_at=from_us(row["created_us"]),
        updated_at=from_us(row["updated_us"]),
        _attempts=[_attempt_from(each, row["inputs"], constraints) for each in attempts],
        _current_attempt_index=len(attempts) - 1,
        op_version=row["op_version"],
        image_digest=row["image_digest"],
        owner=row["owner"],
        tags=from_text(row["tags"]),
        due_at=maybe_from_us(row["due_us"]),
        execution=_execution_from(row["execution"]),
        fence=row["fence"],
        reason=row["reason"],
        phase=row["phase"],
    )


def _attempt_from(row: Row, run_inputs: str, run_constraints: Constraints) -> OpAttempt:
    inputs, constraints = row["inputs"], row["constraints"]
    return OpAttempt(
        id=f"{row['run_id']}_att_{row['attempt']}",
        op_run_id=row["run_id"],
        attempt=row["attempt"],
        state=OpRunState(row["state"]),
        progress=row["progress"],
        inputs=from_text(run_inputs if inputs is None else inputs),
        outputs=from_text(row["outputs"]),
        execution_summary=ExecutionSummary(
            row["duration_ms"], row["worker_id"], row["error_message"], row["gpu_id"]
        ),
        constraints=_constraints_from(constraints) if constraints else run_constraints,
        started_at=maybe_from_us(row["started_us"]),
        finished_at=maybe_from_us(row["finished_us"]),
        charged=bool(row["charged"]),
        fence=row["fence"],
        reason=row["reason"],
        exit_code=row["exit_code"],
        gpu_uuid=row["gpu_uuid"],
        image_digest=row["image_digest"],
    )


# Defaults are written as "{}" and read back as one shared value: nearly every run has them.


def _policy_text(policy: RetryPolicy) -> str:
    return _EMPTY if policy == _POLICY else to_text(policy.to_dict())


def _policy_from(text: str) -> RetryPolicy:
    return _POLICY if text == _EMPTY else RetryPolicy.from_dict(from_text(text))


def _delivery_text(delivery: EventDelivery) -> str:
    return _EMPTY if delivery == _DELIVERY else to_text(delivery.to_dict())


def _delivery_from(text: str) -> EventDelivery:
    return _DELIVERY if text == _EMPTY else EventDelivery.from_dict(from_text(text))


def _execution_text(execution: Execution) -> str:
    return _EMPTY if execution == _EXECUTION else to_text(execution.to_dict())


def _execution_from(text: str) -> Execution:
    return _EXECUTION if text == _EMPTY else Execution.from_dict(from_text(text))


def _constraints_from(text: str) -> Constraints:
    return Constraints.from_dict(from_text(text))

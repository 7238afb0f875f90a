"""OpAttempt entity — a single execution attempt within an OpRun.

Holds what happened in one attempt. Only its OpRun changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from gyoza.models.fields import (
    Reader,
    extension_fields,
    flag,
    instant,
    list_of,
    mapping,
    member,
    optional,
    read_fields,
    text,
    whole,
)
from gyoza.models.json_values import copy_json
from gyoza.models.resources import Constraints, EventEntry, ExecutionSummary, OpRunState
from gyoza.models.timestamps import format_time

_EXTENSIONS = ("charged", "fence", "reason", "exit_code", "gpu_uuid", "image_digest")


@dataclass(slots=True)
class OpAttempt:
    """A single execution attempt belonging to an OpRun.

    OpRuns can have multiple attempts when retries are configured. Each attempt has its own event
    timeline, outputs, and execution summary.

    Args:
        id: Unique identifier for the attempt (``<run_id>_att_<n>``).
        op_run_id: Parent OpRun identifier.
        attempt: Attempt number (1-indexed).
        state: Current state of this attempt.
        progress: Completion percentage (0-100).
        events: Timeline of events during this attempt.
        inputs: Snapshot of inputs at execution time.
        outputs: Outputs produced by this attempt.
        execution_summary: Execution metadata (worker, duration, GPU, error).
        constraints: Hardware constraints snapshot for this attempt.
        started_at: When the container started; None before.
        finished_at: When the container exited; None before.
        charged: Whether the attempt counts against ``max_attempts``.
        fence: The run's fence when this attempt was last assigned; 0 before.
        reason: Why it ended (``OOM``, ``TIMEOUT``, ``SUPERSEDED`` ...); None without one.
        exit_code: The container's exit code; None when there was none.
        gpu_uuid: The GPU it was given; None without one.
        image_digest: The image it ran; None while unknown.
    """

    id: str
    op_run_id: str
    attempt: int
    state: OpRunState
    progress: int = 0
    events: list[EventEntry] = field(default_factory=list[EventEntry])
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    execution_summary: ExecutionSummary = field(default_factory=ExecutionSummary)
    constraints: Constraints = field(default_factory=Constraints)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    charged: bool = True
    fence: int = 0
    reason: str | None = None
    exit_code: int | None = None
    gpu_uuid: str | None = None
    image_digest: str | None = None

    _READERS: ClassVar[dict[str, Reader]] = {
        "id": text,
        "op_run_id": text,
        "attempt": whole(1),
        "state": member(OpRunState),
        "progress": whole(0),
        "events": list_of(EventEntry.from_dict),
        "inputs": mapping,
        "outputs": mapping,
        "execution_summary": ExecutionSummary.from_dict,
        "constraints": Constraints.from_dict,
        "started_at": optional(instant),
        "finished_at": optional(instant),
        "charged": flag,
        "fence": whole(0),
        "reason": optional(text),
        "exit_code": optional(whole()),
        "gpu_uuid": optional(text),
        "image_digest": optional(text),
    }

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary; times as ISO 8601 in UTC."""
        return {
            "id": self.id,
            "op_run_id": self.op_run_id,
            "attempt": self.attempt,
            "state": self.state.value,
            "progress": self.progress,
            "events": [event.to_dict() for event in self.events],
            "inputs": copy_json(self.inputs),
            "outputs": copy_json(self.outputs),
            "execution_summary": self.execution_summary.to_dict(),
            "constraints": self.constraints.to_dict(),
            "started_at": format_time(self.started_at) if self.started_at else None,
            "finished_at": format_time(self.finished_at) if self.finished_at else None,
            **extension_fields(self, _EXTENSIONS),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OpAttempt:
        """Deserialise from a dictionary; fields this version does not know are passed over.

        Raises:
            ValueError: With every missing field and every unexpected value.
        """
        required = ("id", "op_run_id", "attempt", "state")
        return cls(
            **read_fields("attempt", data, cls._READERS, required=required, ignore_unknown=True)
        )

    def begin(self, moment: datetime) -> None:
        """Note that the container started."""
        self.state = OpRunState.RUNNING
        self.started_at = moment

    def close(self, state: OpRunState, moment: datetime, reason: str | None) -> None:
        """Note that the attempt ended in the terminal state; a duration already set is kept."""
        self.state = state
        self.finished_at = moment
        self.reason = reason
        if self.started_at is not None and self.execution_summary.duration_ms is None:
            seconds = (moment - self.started_at).total_seconds()
            self.execution_summary.duration_ms = max(0, round(seconds * 1000))

"""OpRun aggregate root — execution run lifecycle management.

The only door to a run and its attempts. Which transition is allowed is read from ``lifecycle``;
who may ask for one, and storing what came of it, is the use cases' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from gyoza.models import event_arguments
from gyoza.models.fields import (
    Reader,
    extension_fields,
    instant,
    list_of,
    mapping,
    member,
    optional,
    read_fields,
    text,
    text_mapping,
    whole,
)
from gyoza.models.ids import new_id
from gyoza.models.json_values import copy_json
from gyoza.models.lifecycle import (
    OpRunLockedException,
    Trigger,
    is_terminal,
    next_state,
    trigger_of,
)
from gyoza.models.op_attempt import OpAttempt
from gyoza.models.resources import (
    Constraints,
    EventDelivery,
    EventEntry,
    EventType,
    Execution,
    ExecutionSummary,
    OpRunState,
    RetryPolicy,
    Timeouts,
)
from gyoza.models.timestamps import as_utc, format_time, utc_now

__all__ = ["NewEvent", "OpRun", "OpRunLockedException"]

_EXTENSIONS = (
    "op_version",
    "image_digest",
    "owner",
    "tags",
    "due_at",
    "execution",
    "fence",
    "reason",
    "phase",
)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that nobody has stored yet.

    Args:
        attempt: Number of the attempt it belongs to.
        entry: The event itself.
    """

    attempt: int
    entry: EventEntry


@dataclass(slots=True)
class OpRun:
    """Aggregate root for execution runs.

    Encapsulates all attempts internally. Users interact only with OpRun; the current attempt's
    data (progress, events, outputs, execution_summary) is exposed directly via properties.

    A new OpRun always starts with its first attempt. Additional attempts are only created via
    ``retry()``.

    Args:
        id: Unique identifier for the run.
        state: Current state of the run.
        priority: Execution queue priority; higher runs first.
        image: Docker image reference.
        inputs: Input parameters for execution.
        constraints: Hardware requirements.
        retry_policy: Failure recovery rules.
        event_delivery: Event delivery configuration.
        op_definition: Parent OpDefinition name (None for ad-hoc runs).
        created_at: When the run was created.
        updated_at: Last state update timestamp.
        op_version: Version of the parent definition; None for ad-hoc runs.
        image_digest: What the image's tag stands for; None while unresolved.
        owner: Whose fair share the run counts on; None without owners.
        tags: The caller's own labels.
        due_at: Not to be assigned before; None means at once.
        execution: How the container is started, bounded and placed.
        fence: Grows with every assignment made, given back or taken away.
        reason: Refines a terminal state (``OOM``, ``TIMEOUT`` ...); None without one.
        phase: Refines the state while it lasts (``PULLING``, ``BACKOFF`` ...); None without one.
    """

    id: str
    state: OpRunState
    priority: int
    image: str
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    constraints: Constraints = field(default_factory=Constraints)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    event_delivery: EventDelivery = field(default_factory=EventDelivery)
    op_definition: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
    _attempts: list[OpAttempt] = field(default_factory=list[OpAttempt])
    _current_attempt_index: int = -1
    op_version: str | None = None
    image_digest: str | None = None
    owner: str | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    due_at: datetime | None = None
    execution: Execution = field(default_factory=Execution)
    fence: int = 0
    reason: str | None = None
    phase: str | None = None
    _new_events: list[NewEvent] = field(
        default_factory=list[NewEvent], init=False, repr=False, compare=False
    )

    _READERS: ClassVar[dict[str, Reader]] = {
        "id": text,
        "state": member(OpRunState),
        "priority": whole(),
        "image": text,
        "inputs": mapping,
        "constraints": Constraints.from_dict,
        "retry_policy": RetryPolicy.from_dict,
        "event_delivery": EventDelivery.from_dict,
        "op_definition": optional(text),
        "created_at": instant,
        "updated_at": instant,
        "attempts": list_of(OpAttempt.from_dict),
        "op_version": optional(text),
        "image_digest": optional(text),
        "owner": optional(text),
        "tags": text_mapping,
        "due_at": optional(instant),
        "execution": Execution.from_dict,
        "fence": whole(0),
        "reason": optional(text),
        "phase": optional(text),
    }

    @classmethod
    def create(
        cls,
        image: str,
        priority: int = 0,
        inputs: dict[str, Any] | None = None,
        constraints: Constraints | None = None,
        retry_policy: RetryPolicy | None = None,
        event_delivery: EventDelivery | None = None,
        op_definition: str | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the field's name
        now: datetime | None = None,
        op_version: str | None = None,
        image_digest: str | None = None,
        owner: str | None = None,
        tags: dict[str, str] | None = None,
        due_at: datetime | None = None,
        execution: Execution | None = None,
    ) -> OpRun:
        """Create a new OpRun in PENDING state with its first attempt.

        Args:
            image: Docker image reference.
            priority: Scheduling priority; higher runs first.
            inputs: Input parameters, copied; None means none.
            constraints: Hardware requirements; None sets none.
            retry_policy: Failure recovery rules; None means one attempt.
            event_delivery: Event delivery configuration; None means the sink's defaults.
            op_definition: Parent OpDefinition name; None for an ad-hoc run.
            id: Identifier; None makes a new one.
            now: The moment of creation; None asks the clock.
            op_version: Version of the parent definition; None for an ad-hoc run.
            image_digest: What the image's tag resolved to; None while unknown.
            owner: Whose fair share the run counts on; None without owners.
            tags: The caller's own labels, copied; None means none.
            due_at: Not to be assigned before; None means at once.
            execution: How the container is started; None means the defaults.
        """
        moment = as_utc(now)
        run = cls(
            id=new_id("run", now=moment) if id is None else id,
            state=OpRunState.PENDING,
            priority=priority,
            image=image,
            inputs=copy_json(inputs or {}),
            constraints=constraints or Constraints(),
            retry_policy=retry_policy or RetryPolicy(),
            event_delivery=copy_json(event_delivery) or EventDelivery(),
            op_definition=op_definition,
            created_at=moment,
            updated_at=moment,
            op_version=op_version,
            image_digest=image_digest,
            owner=owner,
            tags=dict(tags or {}),
            due_at=None if due_at is None else as_utc(due_at),
            execution=copy_json(execution) or Execution(),
        )
        run._open_attempt(run.constraints)
        return run

    @property
    def current_attempt(self) -> OpAttempt:
        """The attempt that events go to: the last one.

        Raises:
            LookupError: The run was put together without attempts.
        """
        if not self._attempts:
            raise LookupError(f"run {self.id} has no attempts; make runs with OpRun.create()")
        return self._attempts[self._current_attempt_index]

    @property
    def attempts(self) -> tuple[OpAttempt, ...]:
        """All attempts, the first one first."""
        return tuple(self._attempts)

    @property
    def progress(self) -> int:
        """Completion percentage (0-100) of the current attempt."""
        return self.current_attempt.progress

    @property
    def events(self) -> list[EventEntry]:
        """Event timeline from the current attempt; a new list."""
        return list(self.current_attempt.events)

    @property
    def outputs(self) -> dict[str, Any]:
        """Outputs of the current attempt; a copy, changed by ``set_outputs``."""
        return copy_json(self.current_attempt.outputs)

    @property
    def execution_summary(self) -> ExecutionSummary:
        """Execution metadata from the current attempt."""
        return self.current_attempt.execution_summary

    @property
    def worker_id(self) -> str | None:
        """The worker that has, or last had, the current attempt; None while nobody had it."""
        return self.execution_summary.worker_id

    @property
    def timeouts(self) -> Timeouts:
        """The run's limits in time."""
        return self.execution.timeouts

    @property
    def is_terminal(self) -> bool:
        """Whether nothing but a retry leads on from the run's state."""
        return is_terminal(self.state)

    def set_state(self, new_state: OpRunState) -> None:
        """Update the run state directly, past the table; for repairs and tests only."""
        self.state = self.current_attempt.state = new_state
        self.updated_at = utc_now()

    def assign(
        self, worker_id: str, *, now: datetime | None = None, gpu_uuid: str | None = None
    ) -> None:
        """Transition the run from PENDING to ASSIGNED.

        Args:
            worker_id: ID of the worker that will execute this run.
            now: The moment of the assignment; None asks the clock.
            gpu_uuid: The GPU reserved for the run; None without one.

        Raises:
            ValueError: The run is not in PENDING state.
            OpRunLockedException: The run is in a terminal state.
        """
        state = next_state(self.state, Trigger.ASSIGN)
        attempt = self.current_attempt
        self.fence += 1
        attempt.fence = self.fence
        attempt.gpu_uuid = gpu_uuid
        attempt.execution_summary.worker_id = worker_id
        entry = EventEntry(as_utc(now), EventType.ASSIGNED, "", {"worker_id": worker_id})
        self._move(state, entry)

    def release(self, *, now: datetime | None = None, msg: str = "") -> None:
        """Give an assignment back unstarted: ASSIGNED to PENDING, same attempt, next fence.

        Args:
            now: The moment of the release; None asks the clock.
            msg: Why it is given back.

        Raises:
            ValueError: The run is not in ASSIGNED state.
            OpRunLockedException: The run is in a terminal state.
        """
        state = next_state(self.state, Trigger.RELEASE)
        attempt = self.current_attempt
        payload = {"worker_id": attempt.execution_summary.worker_id}
        self.fence += 1
        attempt.gpu_uuid = None
        attempt.execution_summary.worker_id = None
        self._move(state, EventEntry(as_utc(now), EventType.RELEASED, msg, payload))

    def set_priority(self, priority: int) -> None:
        """Update the scheduling priority.

        Raises:
            ValueError: The priority is negative.
        """
        if priority < 0:
            raise ValueError(f"priority {priority} is negative; give a whole number of at least 0")
        self.priority = priority
        self.updated_at = utc_now()

    def set_outputs(self, outputs: dict[str, Any]) -> None:
        """Set outputs on the current attempt; they are copied."""
        self.current_attempt.outputs = copy_json(outputs)
        self.updated_at = utc_now()

    def set_execution_summary(
        self,
        duration_ms: int | None = None,
        worker_id: str | None = None,
        error_message: str | None = None,
        gpu_id: int | None = None,
    ) -> None:
        """Update execution metadata on the current attempt; what is None stays as it is.

        Args:
            duration_ms: Execution duration in milliseconds.
            worker_id: ID of the executing worker.
            error_message: Error description on failure.
            gpu_id: GPU identifier used.
        """
        given = {
            "duration_ms": duration_ms,
            "worker_id": worker_id,
            "error_message": error_message,
            "gpu_id": gpu_id,
        }
        for name, value in given.items():
            if value is not None:
                setattr(self.execution_summary, name, value)
        self.updated_at = utc_now()

    def add_event(
        self,
        event_type: EventType,
        msg: str | int,
        payload: dict[str, Any] | None = None,
        *,
        now: datetime | None = None,
    ) -> None:
        """Append an event to the current attempt and react to its type.

        STARTED needs an ASSIGNED run and makes it RUNNING; PROGRESS updates the percentage;
        COMPLETED, FAILED and CANCELLED lock the run; INFO and ERROR are recorded only.

        Args:
            event_type: What happened.
            msg: Text for people; for PROGRESS a whole number from 0 to 100, also as digits.
            payload: Structured details, copied; ``reason`` becomes the run's at a terminal event.
            now: When it happened; None asks the clock.

        Raises:
            OpRunLockedException: The run is already in a terminal state.
            ValueError: An argument is invalid, or the run's state does not take the event.
                Nothing was changed.
        """
        kind = event_arguments.event_type(event_type)
        state = next_state(self.state, trigger_of(kind))
        moment = as_utc(now)
        progress = event_arguments.percentage(msg) if kind is EventType.PROGRESS else None
        details = event_arguments.payload(payload)
        entry = EventEntry(moment, kind, event_arguments.message(msg), details)
        attempt = self.current_attempt
        if progress is not None:
            attempt.progress = progress
        if kind is EventType.STARTED:
            attempt.begin(moment)
        if is_terminal(state):
            self._close_attempt(state, entry)
        attempt.events.append(entry)
        self._move(state, entry)

    def complete(
        self,
        msg: str = "",
        *,
        outputs: dict[str, Any] | None = None,
        exit_code: int | None = None,
        payload: dict[str, Any] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Record COMPLETED together with its outputs and exit code; what is None stays as it is.

        Raises:
            OpRunLockedException, ValueError: As ``add_event``; nothing was changed.
        """
        self.add_event(EventType.COMPLETED, msg, payload, now=now)
        self.current_attempt.exit_code = exit_code
        if outputs is not None:
            self.current_attempt.outputs = copy_json(outputs)

    def fail(
        self,
        msg: str,
        *,
        reason: str,
        charged: bool = True,
        exit_code: int | None = None,
        payload: dict[str, Any] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Record FAILED together with what a retry decision needs.

        Args:
            msg: What went wrong, for people.
            reason: What went wrong, for programs (``OOM``, ``WORKER_LOST`` ...).
            charged: Whether the attempt counts against ``max_attempts``.
            exit_code: The container's exit code; None when there was none.
            payload: Further details, copied.
            now: When it happened; None asks the clock.

        Raises:
            OpRunLockedException, ValueError: As ``add_event``; nothing was changed.
        """
        details = {**event_arguments.payload(payload), "reason": reason}
        self.add_event(EventType.FAILED, msg, details, now=now)
        self.current_attempt.charged = charged
        self.current_attempt.exit_code = exit_code

    def cancel(
        self,
        msg: str,
        *,
        reason: str = "CANCELLED",
        payload: dict[str, Any] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Record CANCELLED with its reason.

        Raises:
            OpRunLockedException, ValueError: As ``add_event``; nothing was changed.
        """
        details = {**event_arguments.payload(payload), "reason": reason}
        self.add_event(EventType.CANCELLED, msg, details, now=now)

    def can_retry(self) -> bool:
        """Return True if another attempt is allowed: fewer charged ones than max_attempts."""
        charged = sum(attempt.charged for attempt in self._attempts)
        return charged < self.retry_policy.max_attempts

    def retry(
        self,
        force: bool = False,
        *,
        now: datetime | None = None,
        due_at: datetime | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        """Create a new attempt and reset the run to PENDING.

        An unfinished attempt left behind is closed as FAILED with the reason SUPERSEDED, and
        whoever held it is fenced off.

        Args:
            force: Skip the max_attempts check when True.
            now: The moment of the retry; None asks the clock.
            due_at: Not to be assigned before; None means at once.
            constraints: What the new attempt needs; None means the same as the one before.

        Raises:
            ValueError: Max attempts are exhausted and force is False.
        """
        state = next_state(self.state, Trigger.RETRY)
        if not force and not self.can_retry():
            raise ValueError(
                f"run {self.id} used its {self.retry_policy.max_attempts} attempt(s); "
                "retry(force=True) makes another"
            )
        moment = as_utc(now)
        if not is_terminal(self.current_attempt.state):
            self._supersede(moment)
        attempt = self._open_attempt(constraints or self.current_attempt.constraints)
        self.reason = None
        self.due_at = None if due_at is None else as_utc(due_at)
        details: dict[str, Any] = {"attempt": attempt.attempt}
        if constraints is not None:
            details["constraints"] = constraints.to_dict()
        self._move(state, EventEntry(moment, EventType.RETRIED, "", details))

    def collect_events(self) -> list[NewEvent]:
        """Return the events since the last call (assignments, releases, retries too), once."""
        collected, self._new_events = self._new_events, []
        return collected

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary; times as ISO 8601 in UTC."""
        return {
            "id": self.id,
            "state": self.state.value,
            "priority": self.priority,
            "image": self.image,
            "inputs": copy_json(self.inputs),
            "constraints": self.constraints.to_dict(),
            "retry_policy": self.retry_policy.to_dict(),
            "event_delivery": self.event_delivery.to_dict(),
            "op_definition": self.op_definition,
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.updated_at),
            "attempts": [attempt.to_dict() for attempt in self._attempts],
            **extension_fields(self, _EXTENSIONS),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OpRun:
        """Deserialise from a dictionary; fields this version does not know are passed over.

        The last attempt is the current one. Events already collected are not restored.

        Raises:
            ValueError: With every missing field and every unexpected value.
        """
        required = ("id", "state", "priority", "image")
        values = read_fields("run", data, cls._READERS, required=required, ignore_unknown=True)
        attempts = values.pop("attempts", [])
        return cls(**values, _attempts=attempts, _current_attempt_index=len(attempts) - 1)

    def _open_attempt(self, constraints: Constraints) -> OpAttempt:
        number = len(self._attempts) + 1
        attempt = OpAttempt(
            id=f"{self.id}_att_{number}",
            op_run_id=self.id,
            attempt=number,
            state=OpRunState.PENDING,
            inputs=copy_json(self.inputs),
            constraints=constraints,
        )
        self._attempts.append(attempt)
        self._current_attempt_index = number - 1
        return attempt

    def _close_attempt(self, state: OpRunState, entry: EventEntry) -> None:
        reason = entry.payload.get("reason")
        self.reason = reason if isinstance(reason, str) else None
        attempt = self.current_attempt
        attempt.close(state, entry.t, self.reason)
        if state is OpRunState.FAILED:
            attempt.execution_summary.error_message = str(entry.msg)

    def _supersede(self, moment: datetime) -> None:
        held = self.state is not OpRunState.PENDING
        payload = {"reason": "SUPERSEDED", "final": False}
        entry = EventEntry(moment, EventType.FAILED, "superseded by a retry", payload)
        self._close_attempt(next_state(self.state, Trigger.FAIL), entry)
        self._new_events.append(NewEvent(self.current_attempt.attempt, entry))
        if held:
            self.fence += 1

    def _move(self, state: OpRunState, entry: EventEntry) -> None:
        if state is not self.state:
            self.phase = None
        self.state = self.current_attempt.state = state
        self.updated_at = entry.t
        self._new_events.append(NewEvent(self.current_attempt.attempt, entry))

"""Shared value objects for the gyoza domain.

Hardware requirements, policies, execution settings, states, event types and execution metadata:
pure data with no dependency on the aggregates, so they are safe to import from anywhere. What a
state may become is not decided here but in ``lifecycle``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

from gyoza.models.fields import (
    FieldProblem,
    InvalidFields,
    Reader,
    Unexpected,
    extension_fields,
    flag,
    instant,
    list_of,
    mapping,
    member,
    number,
    optional,
    read_fields,
    text,
    text_mapping,
    whole,
)
from gyoza.models.json_values import copy_json, is_whole
from gyoza.models.timestamps import format_time

_MAX_EXIT_CODE = 255


class OpRunState(str, Enum):
    """Lifecycle states for an op run."""

    PENDING = "PENDING"
    ASSIGNED = "ASSIGNED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class EventType(str, Enum):
    """Event types emitted during an op run.

    ASSIGNED, RELEASED and RETRIED are made by the run's own methods and only stored and
    published; ``OpRun.add_event`` does not take them.
    """

    STARTED = "STARTED"
    INFO = "INFO"
    PROGRESS = "PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    ERROR = "ERROR"
    ASSIGNED = "ASSIGNED"
    RELEASED = "RELEASED"
    RETRIED = "RETRIED"


@dataclass(frozen=True, slots=True)
class Constraints:
    """Hardware requirements for execution.

    Args:
        cpu: Number of CPU cores required; None leaves it to the server's default.
        ram_mb: RAM in megabytes; None leaves it to the server's default.
        vram_mb: VRAM in megabytes, all of it on one GPU; None needs no GPU.
    """

    cpu: int | None = None
    ram_mb: int | None = None
    vram_mb: int | None = None

    _READERS: ClassVar[dict[str, Reader]] = {
        name: optional(whole(0)) for name in ("cpu", "ram_mb", "vram_mb")
    }

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {"cpu": self.cpu, "ram_mb": self.ram_mb, "vram_mb": self.vram_mb}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Constraints:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every value that is no whole number from 0.
        """
        return cls(**read_fields("constraints", data, cls._READERS))


@dataclass(frozen=True, slots=True)
class OnOom:
    """More memory for the attempt after one that ran out of it; at least one bound is named.

    Args:
        factor: What memory is multiplied by, 1.1 to 10.
        max_ram_mb: Megabytes of RAM it grows to at most; None leaves RAM as it is.
        max_vram_mb: Megabytes of VRAM it grows to at most; None leaves VRAM as it is.
    """

    factor: float = 2
    max_ram_mb: int | None = None
    max_vram_mb: int | None = None

    _READERS: ClassVar[dict[str, Reader]] = {
        "factor": number(1.1, 10),
        "max_ram_mb": optional(whole(1)),
        "max_vram_mb": optional(whole(1)),
    }

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {name: getattr(self, name) for name in self._READERS}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OnOom:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every value out of range, or without a bound.
        """
        found = cls(**read_fields("on_oom", data, cls._READERS))
        if found.max_ram_mb is None and found.max_vram_mb is None:
            unbound = "has no bound; name max_ram_mb or max_vram_mb, up to which memory may grow"
            raise InvalidFields("on_oom", [FieldProblem((), unbound)])
        return found


def _exit_code(value: object) -> int:
    if is_whole(value) and 1 <= value <= _MAX_EXIT_CODE:
        return value
    raise Unexpected(f"an exit code from 1 to {_MAX_EXIT_CODE}")


@dataclass(frozen=True, slots=True)
class ExitCodes:
    """Which exit codes of the user's code are worth another attempt.

    65 (bad input) and 75 (try again) keep their meaning whatever stands here.

    Args:
        retry: Only these are retried; None: all are but those of ``fail``.
        fail: These end the run at once.
    """

    retry: tuple[int, ...] | None = None
    fail: tuple[int, ...] = ()

    _READERS: ClassVar[dict[str, Reader]] = {
        "retry": optional(list_of(_exit_code)),
        "fail": list_of(_exit_code),
    }

    def __post_init__(self) -> None:
        if self.retry is not None:
            object.__setattr__(self, "retry", tuple(self.retry))
        object.__setattr__(self, "fail", tuple(self.fail))

    def is_retried(self, exit_code: int) -> bool:
        """Whether an attempt that ended with the code may be followed by another."""
        return exit_code not in self.fail and (self.retry is None or exit_code in self.retry)

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {
            "retry": None if self.retry is None else list(self.retry),
            "fail": list(self.fail),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExitCodes:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every value that is no list of exit codes, or
                a code in both lists.
        """
        found = cls(**read_fields("exit_codes", data, cls._READERS))
        both = sorted(set(found.retry or ()) & set(found.fail))
        if both:
            said = f"names {both[0]} both to retry and to fail; keep it in one of them"
            raise InvalidFields("exit_codes", [FieldProblem((), said)])
        return found


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Rules for failure recovery.

    Args:
        max_attempts: Attempts a run may have in all, the first included; at least 1.
        backoff_ms: Milliseconds before the second attempt; doubles with each further one.
        on_oom: More memory after an attempt that ran out of it; None gives the same again.
        exit_codes: Which exit codes are retried; None: all.
    """

    max_attempts: int = 1
    backoff_ms: int = 0
    on_oom: OnOom | None = None
    exit_codes: ExitCodes | None = None

    _READERS: ClassVar[dict[str, Reader]] = {
        "max_attempts": whole(1),
        "backoff_ms": whole(0),
        "on_oom": optional(OnOom.from_dict),
        "exit_codes": optional(ExitCodes.from_dict),
    }

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {
            "max_attempts": self.max_attempts,
            "backoff_ms": self.backoff_ms,
            **extension_fields(self, ("on_oom", "exit_codes")),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RetryPolicy:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every value out of range.
        """
        return cls(**read_fields("retry policy", data, cls._READERS))


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """Event delivery configuration for op runs.

    Args:
        topic: Topic name to publish events to; empty means the sink's default.
        attributes: Additional metadata attached to each event; copied.
    """

    topic: str = ""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])

    _READERS: ClassVar[dict[str, Reader]] = {"topic": text, "attributes": mapping}

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", copy_json(self.attributes))

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {"topic": self.topic, "attributes": copy_json(self.attributes)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EventDelivery:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every value of another type.
        """
        return cls(**read_fields("event delivery", data, cls._READERS))


def _event_message(value: object) -> str | int:
    if isinstance(value, str) or is_whole(value):
        return value
    raise Unexpected("a string or a whole number")


@dataclass(frozen=True, slots=True)
class EventEntry:
    """A single event in the op run timeline.

    Args:
        t: When it happened.
        type: What happened.
        msg: Text for people; for PROGRESS the percentage as it was given.
        payload: Structured details; copied.
    """

    t: datetime
    type: EventType
    msg: str | int
    payload: dict[str, Any] = field(default_factory=dict[str, Any])

    _READERS: ClassVar[dict[str, Reader]] = {
        "t": instant,
        "type": member(EventType),
        "msg": _event_message,
        "payload": mapping,
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "payload", copy_json(self.payload))

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary; the time as ISO 8601 in UTC."""
        return {
            "t": format_time(self.t),
            "type": self.type.value,
            "msg": self.msg,
            "payload": copy_json(self.payload),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EventEntry:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown or missing field and every unexpected value.
        """
        return cls(**read_fields("event", data, cls._READERS, required=("t", "type", "msg")))


@dataclass(slots=True)
class ExecutionSummary:
    """High-level execution metadata attached to a completed op run.

    Args:
        duration_ms: Total execution time in milliseconds; None while unknown.
        worker_id: Identifier of the worker that ran the operation; None while no worker has it.
        error_message: Error description when the run failed, else None.
        gpu_id: GPU identifier used during execution, if any.
    """

    duration_ms: int | None = None
    worker_id: str | None = None
    error_message: str | None = None
    gpu_id: int | None = None

    _READERS: ClassVar[dict[str, Reader]] = {
        "duration_ms": optional(whole(0)),
        "worker_id": optional(text),
        "error_message": optional(text),
        "gpu_id": optional(whole()),
    }

    def to_dict(self) -> dict[str, Any]:
        """Serialise to a JSON-compatible dictionary."""
        return {name: getattr(self, name) for name in self._READERS}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExecutionSummary:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every unexpected value.
        """
        return cls(**read_fields("execution summary", data, cls._READERS))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each part of a run may take, in seconds; None sets no limit.

    Args:
        queue_s: Waiting for a worker.
        pull_s: Getting the image; never counts as run time.
        pull_idle_s: Getting the image without any progress.
        run_s: The container's own time.
        total_s: From submission to the end, all attempts together.
    """

    queue_s: float | None = None
    pull_s: float | None = 3600
    pull_idle_s: float | None = 300
    run_s: float | None = 86400
    total_s: float | None = None

    _READERS: ClassVar[dict[str, Reader]] = {
        name: optional(number(0))
        for name in ("queue_s", "pull_s", "pull_idle_s", "run_s", "total_s")
    }

    def to_dict(self) -> dict[str, Any]:
        """Serialise what differs from the defaults to a JSON-compatible dictionary."""
        return extension_fields(self, self._READERS)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Timeouts:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every value that is no number from 0.
        """
        return cls(**read_fields("timeouts", data, cls._READERS))


@dataclass(frozen=True, slots=True)
class Execution:
    """How a run's container is started, bounded and placed; copied from definition to run.

    Args:
        command: Replaces the image's command; None keeps it.
        timeouts: The limits in time.
        grace_s: Seconds between SIGTERM and SIGKILL, 0 to 120.
        network: Whether the container may reach the network.
        disk_mb: Megabytes the op may write under its ``out/`` folder.
        selectors: Worker tags that must match.
        concurrency: The concurrency key and its limit; None shares no key.
        warm: How the container stays up between runs; None ends it with each run.
        preemptible: Whether it may be stopped for a much more urgent run, and waits again then.
    """

    command: tuple[str, ...] | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    grace_s: float = 10
    network: bool = False
    disk_mb: int = 10240
    selectors: dict[str, str] = field(default_factory=dict[str, str])
    concurrency: dict[str, Any] | None = None
    warm: dict[str, Any] | None = None
    preemptible: bool = False

    _READERS: ClassVar[dict[str, Reader]] = {
        "command": optional(list_of(text)),
        "timeouts": Timeouts.from_dict,
        "grace_s": number(0, 120),
        "network": flag,
        "disk_mb": whole(1),
        "selectors": text_mapping,
        "concurrency": optional(mapping),
        "warm": optional(mapping),
        "preemptible": flag,
    }

    def __post_init__(self) -> None:
        if self.command is not None:
            object.__setattr__(self, "command", tuple(self.command))
        for name in ("selectors", "concurrency", "warm"):
            object.__setattr__(self, name, copy_json(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Serialise what differs from the defaults to a JSON-compatible dictionary."""
        return extension_fields(self, self._READERS)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Execution:
        """Deserialise from a dictionary.

        Raises:
            ValueError: With every unknown field and every unexpected value, those of the
                timeouts included.
        """
        return cls(**read_fields("execution", data, cls._READERS))

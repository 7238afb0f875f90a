"""The shapes of JSON documents that have no wire message, described for OpenAPI.

Runs, attempts and definitions are written by the domain's `to_dict()`; these structs say what that
looks like and are never built. A test checks every answer of the API against them, so they cannot
drift from what is sent.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gyoza.wire.messages import ArtifactRef, Event, LogChunk, WorkerView

Json = dict[str, Any]
T = TypeVar("T")
State = Literal["PENDING", "ASSIGNED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]


class Constraints(msgspec.Struct):
    """What a run needs; null names nothing."""

    cpu: int | None
    ram_mb: int | None
    vram_mb: int | None


class RetryPolicy(msgspec.Struct):
    """How often a run is tried, and the first pause in milliseconds; it doubles.

    `on_oom` gives more memory after an attempt that ran out of it (`factor`, `max_ram_mb`,
    `max_vram_mb`); `exit_codes` names those that are retried (`retry`) and those that are not
    (`fail`).
    """

    max_attempts: int
    backoff_ms: int
    on_oom: Json | UnsetType = UNSET
    exit_codes: Json | UnsetType = UNSET


class EventDelivery(msgspec.Struct):
    """Where a run's events are published."""

    topic: str
    attributes: Json


class ExecutionSummary(msgspec.Struct):
    """How an attempt was carried out."""

    duration_ms: int | None
    worker_id: str | None
    error_message: str | None
    gpu_id: int | None


class TimelineEntry(msgspec.Struct):
    """An event inside an attempt."""

    t: str
    type: str
    msg: str | int
    payload: Json


class AttemptDocument(msgspec.Struct):
    """One attempt at a run. Members with a default of theirs are left out."""

    id: str
    op_run_id: str
    attempt: int
    state: State
    progress: int
    inputs: Json
    outputs: Json
    execution_summary: ExecutionSummary
    constraints: Constraints
    started_at: str | None
    finished_at: str | None
    events: list[TimelineEntry] | UnsetType = UNSET
    charged: bool | UnsetType = UNSET
    fence: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    exit_code: int | UnsetType = UNSET
    gpu_uuid: str | UnsetType = UNSET
    image_digest: str | UnsetType = UNSET


class RunDocument(msgspec.Struct):
    """A run. Members with a default of theirs are left out.

    `progress`, `outputs`, `execution_summary`, `attempt` and `worker_id` are those of the current
    attempt; `attempts[].events` is present when one run is asked for.
    """

    id: str
    state: State
    priority: int
    image: str
    inputs: Json
    constraints: Constraints
    retry_policy: RetryPolicy
    event_delivery: EventDelivery
    op_definition: str | None
    created_at: str
    updated_at: str
    attempts: list[AttemptDocument]
    progress: int
    outputs: Json
    execution_summary: ExecutionSummary
    attempt: int
    worker_id: str | None
    op_version: str | UnsetType = UNSET
    image_digest: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    due_at: str | UnsetType = UNSET
    execution: Json | UnsetType = UNSET
    fence: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    phase: str | UnsetType = UNSET


class DefinitionDocument(msgspec.Struct):
    """A version of an op. Members with a default of theirs are left out."""

    id: str
    version: str
    image: str
    input_specs: Json
    output_specs: Json
    constraints: Constraints
    retry_policy: RetryPolicy
    event_delivery: EventDelivery
    createdAt: str
    updatedAt: str
    image_digest: str | UnsetType = UNSET
    execution: Json | UnsetType = UNSET


class DefinitionSchema(msgspec.Struct):
    """An op's inputs and outputs as one JSON Schema (draft 2020-12) each."""

    id: str
    version: str
    inputs: Json
    outputs: Json


class PageOf(msgspec.Struct, Generic[T]):
    """One page of a list; `next_page_token` is "" at the end."""

    items: list[T]
    next_page_token: str


class RunPage(PageOf[RunDocument]):
    """A page of runs."""


class DefinitionPage(PageOf[DefinitionDocument]):
    """A page of definitions."""


class EventPage(PageOf[Event]):
    """A page of events."""


class LogPage(PageOf[LogChunk]):
    """A page of log chunks."""


class ArtifactPage(PageOf[ArtifactRef]):
    """A page of artifacts."""


class WorkerPage(PageOf[WorkerView]):
    """A page of workers."""


class WorkerFit(msgspec.Struct):
    """Whether a run fits a worker, and every reason why not."""

    worker_id: str
    name: str
    fits: bool
    ever: bool
    reasons: list[str]


class Explanation(msgspec.Struct):
    """Why a run is where it is; the last three are there while it waits."""

    run_id: str
    state: State
    summary: str
    verdict: Literal["NOW", "LATER", "NEVER"] | UnsetType = UNSET
    needs: Json | UnsetType = UNSET
    workers: list[WorkerFit] | UnsetType = UNSET


class Health(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Readiness(msgspec.Struct):
    """Whether requests can be served now.

    Attributes:
        checks: "ok", or what is wrong, by part.
        notes: What is unusual though requests are served.
    """

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
    notes: list[str] = []

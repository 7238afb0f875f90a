"""The shapes of JSON documents that have no wire message, described for OpenAPI.

Runs, attempts and definitions are written by the domain's `to_dict()`; these structs say what that
looks like and are never built. A test checks every answer of the API against them, so they cannot
drift from what is sent.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gyoza.server.scheduling.trials import ChangeName
from gyoza.server.use_cases.holds import HoldName
from gyoza.wire.messages import ArtifactRef, Event, LimitsView, LogChunk, WorkerView

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


class WaitingDocument(msgspec.Struct):
    """Why a run waits, in short; `GET /runs/{id}/explain` knows more.

    Attributes:
        verdict: Whether a registered worker could take it at all.
        rule: What holds it back whatever room there is; null when only room or its turn is missing.
        summary: One sentence for people.
    """

    verdict: Literal["LATER", "NEVER"]
    rule: HoldName | None
    summary: str


class RunDocument(msgspec.Struct):
    """A run. Members with a default of theirs are left out.

    `progress`, `outputs`, `execution_summary`, `attempt` and `worker_id` are those of the current
    attempt; `attempts[].events` is present when one run is asked for. `waiting` is present while it
    is PENDING, in a list and where one run is asked for.
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
    waiting: WaitingDocument | UnsetType = UNSET


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


class LimitsPage(PageOf[LimitsView]):
    """The ops that are paused or limited."""


class WorkerPage(PageOf[WorkerView]):
    """A page of workers."""


class WorkerFit(msgspec.Struct):
    """Whether a run fits a worker now, could ever, and every reason why not; the first counts."""

    worker_id: str
    name: str
    fits: bool
    ever: bool
    reasons: list[str]


class HeldBack(msgspec.Struct):
    """What holds a run back whatever room there is.

    Attributes:
        name: Which rule.
        text: The same for people, with figures.
        run_ids: The runs that it waits for, or that have what it waits for.
    """

    name: HoldName
    text: str
    run_ids: list[str]


class RunAhead(msgspec.Struct):
    """A run that comes before another."""

    run_id: str
    op: str | None
    owner: str | None
    priority: int


class PositionDocument(msgspec.Struct):
    """How many runs come before a run, in the planner's order.

    Attributes:
        ahead: How many.
        exact: Whether these are all; else there are more.
        first: The next few.
    """

    ahead: int
    exact: bool
    first: list[RunAhead]


class RunInPlace(msgspec.Struct):
    """An attempt at work on a worker that could take the run."""

    run_id: str
    op: str | None
    owner: str | None
    priority: int
    worker_id: str
    worker: str
    since: str
    ends_at: str | None


class KeptWorker(msgspec.Struct):
    """The worker that is kept for the first run which finds no room.

    Attributes:
        run_id: That run.
        giving_way: The runs at work that are stopped for it.
    """

    worker_id: str
    name: str
    run_id: str
    giving_way: list[str]


class ExpectedStart(msgspec.Struct):
    """When a run is expected to start.

    Attributes:
        at: When; null when it is unknown.
        basis: What that rests on, or why it is unknown.
    """

    at: str | None
    basis: str


class ChangeDocument(msgspec.Struct):
    """A single change that, tried on the real planner, lets the run start now.

    Attributes:
        name: Which kind.
        text: What to change.
        worker: Name of the worker that would take the run; "" for one that does not exist yet.
        command: What to type; null when no command does it.
    """

    name: ChangeName
    text: str
    worker: str
    command: str | None


class AttemptHistory(msgspec.Struct):
    """An attempt, and what was decided at its end.

    Attributes:
        reported: The worker's reason where the server concluded another.
        charged: Whether it uses up one of `max_attempts`; null while it is not over.
        decision: Why there was another attempt, or none; null when nothing had to be decided.
        retry_at: Not before that moment was the next attempt due; null without one.
        constraints: What it was given.
        next: What followed: another attempt by the policy, one by hand, or the run's end.
    """

    attempt: int
    state: State
    reason: str | None
    reported: str | None
    message: str
    worker_id: str | None
    gpu_uuid: str | None
    charged: bool | None
    exit_code: int | None
    duration_ms: int | None
    started_at: str | None
    finished_at: str | None
    decision: str | None
    retry_at: str | None
    constraints: Constraints
    next: Literal["retried", "by_hand", "end", "none"]


class Explanation(msgspec.Struct):
    """Why a run is where it is; all but the first four are there only while it waits.

    Attributes:
        verdict: NOW: it is being assigned. NEVER: no registered worker could take it.
        rule: Absent when only room or its turn is missing.
        position: Absent when its turn is not the question.
        in_its_place: Who has what it could use.
        kept: Absent when no worker is kept.
        changes: Verified by planning each.
        all_changes_tried: False when fleet or queue are too large to try everything.
    """

    run_id: str
    state: State
    summary: str
    attempts: list[AttemptHistory]
    verdict: Literal["NOW", "LATER", "NEVER"] | UnsetType = UNSET
    rule: HeldBack | UnsetType = UNSET
    needs: Json | UnsetType = UNSET
    workers: list[WorkerFit] | UnsetType = UNSET
    position: PositionDocument | UnsetType = UNSET
    in_its_place: list[RunInPlace] | UnsetType = UNSET
    kept: KeptWorker | UnsetType = UNSET
    start: ExpectedStart | UnsetType = UNSET
    changes: list[ChangeDocument] | UnsetType = UNSET
    all_changes_tried: bool | UnsetType = UNSET


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

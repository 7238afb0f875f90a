"""What repositories take and return where the domain has no class for it: plain values.

No SQL and no behaviour here beyond what a value says about itself. Instants are aware and in UTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from gyoza.models import EventEntry, EventType, OpRunState
from gyoza.wire.messages import ArtifactRef, Capacity

LogStream = Literal["stdout", "stderr", "system"]
_SHORTEST_S: Final = 0.001
_NEWEST_WEIGHT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Cluster:
    """Who this server's database is.

    Attributes:
        id: `clu_...`, made at first start; a label of every container.
        secret: Key of the attempt tokens; never leaves the server.
    """

    id: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go: each matching event gets an outbox row in its own transaction.

    Attributes:
        name: Names the destination in the outbox.
        types: The event types it wants; None wants all.
    """

    name: str
    types: frozenset[EventType] | None = None

    def wants(self, event_type: EventType) -> bool:
        """Whether events of the type go there."""
        return self.types is None or event_type in self.types


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list shows; what is empty or None does not filter.

    Attributes:
        states: Any of these.
        op: Op id.
        owner: Exact owner.
        worker: Worker of the current attempt.
        batch: Batch the run was submitted in.
        tags: All of these pairs of key and value.
        created_before: Submitted before it.
    """

    states: tuple[OpRunState, ...] = ()
    op: str | None = None
    owner: str | None = None
    worker: str | None = None
    batch: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A run that waits for a place, as the planner sees it.

    Attributes:
        lane: Name of the lane it stands in, with all that are like it but for their age.
        cpu: Whole CPUs it needs; None names none, likewise `ram_mb` and `vram_mb` (megabytes).
        selectors: Worker tags that must match.
        op: Op id; None for an ad hoc image, likewise `op_version`.
        image: Digest of the image where it is known, else the reference.
    """

    run_id: str
    lane: str
    priority: int
    created_at: datetime
    cpu: int | None
    ram_mb: int | None
    vram_mb: int | None
    selectors: dict[str, str]
    owner: str | None
    op: str | None
    op_version: str | None
    image: str


@dataclass(frozen=True, slots=True)
class RunTimes:
    """How long completed runs of one source took.

    Attributes:
        samples: How many there were.
        log_mean: Weighted mean of the natural logarithm of their seconds.
        log_variance: Weighted variance of it.
    """

    samples: int = 0
    log_mean: float = 0.0
    log_variance: float = 0.0

    @property
    def typical_s(self) -> float:
        """Half of the runs take less, in seconds."""
        return math.exp(self.log_mean)

    def at_most_s(self, deviations: float) -> float:
        """Nearly all runs take less, in seconds; 2 deviations above the mean leave 2 % over."""
        return math.exp(self.log_mean + deviations * math.sqrt(self.log_variance))

    def with_another(self, seconds: float) -> RunTimes:
        """Return what is known once one more run took so long; under 1 ms counts as 1 ms."""
        logarithm = math.log(max(seconds, _SHORTEST_S))
        samples = self.samples + 1
        weight = max(1 / samples, _NEWEST_WEIGHT)
        off = logarithm - self.log_mean
        mean = self.log_mean + weight * off
        return RunTimes(samples, mean, (1 - weight) * (self.log_variance + weight * off * off))


def source_of(op: str | None, version: str | None, image: str) -> str:
    """Name what runs with like durations have in common: their op's version, or their image."""
    return image if op is None else f"{op}@{version}"


@dataclass(frozen=True, slots=True)
class OpLimits:
    """What holds an op's runs back.

    Attributes:
        paused: No run of it is placed.
        max_parallel: How many of its runs may be at work at once; None sets no limit.
    """

    paused: bool = False
    max_parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What an owner may have at most; None is what the server's settings say.

    Attributes:
        max_queued: Runs that wait, delayed ones among them.
        max_active: Attempts at work.
    """

    owner: str
    max_queued: int | None = None
    max_active: int | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the run's timeline: 1, 2, 3 ... without gaps."""

    number: int
    attempt: int
    entry: EventEntry


@dataclass(frozen=True, slots=True)
class CancelIntent:
    """Somebody asked for the run to end while a worker had it.

    Attributes:
        reason: Stable word, such as CANCELLED or TOTAL_TIMEOUT.
        message: For people.
    """

    reason: str
    message: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """A run past one of the server's own deadlines.

    Attributes:
        kind: QUEUE: it waited longer than `queue_s`; TOTAL: it exists longer than `total_s`.
    """

    run_id: str
    kind: Literal["QUEUE", "TOTAL"]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What of a worker an assignment takes, until it is freed.

    Attributes:
        vram_mb: Megabytes on the GPU `gpu_uuid`; 0 and None without a GPU.
        concurrency_key: The key it takes a place of, if any.
        holder: Whose run it is and since when; told when it is read, not looked at when written.
    """

    run_id: str
    fence: int
    worker_id: str
    cpu: int
    ram_mb: int
    vram_mb: int = 0
    gpu_uuid: str | None = None
    concurrency_key: str | None = None
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose run a reservation is for.

    Attributes:
        owner: Its owner.
        priority: Its priority.
        op: Op id; None for an ad hoc image, likewise `op_version`.
        image: Digest of the image where it is known, else the reference.
        preemptible: Whether it may be stopped for a more urgent run.
        stops: Whether its worker was asked to stop it.
        current: Whether the reservation is of the run's current attempt: False for a lost one.
        reserved_at: Since when.
        created_at: When the run was submitted; None for one that nobody here knows.
    """

    owner: str | None
    priority: int
    op: str | None
    op_version: str | None
    image: str
    preemptible: bool
    stops: bool
    current: bool
    reserved_at: datetime
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """An attempt that a worker is to hold from now on, until its lease is over."""

    run_id: str
    attempt: int
    fence: int
    worker_id: str
    lease_expires_at: datetime


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt in a worker's hands: assigned and not closed.

    Attributes:
        state: State of the run (ASSIGNED or RUNNING while all is well).
        phase: The run's phase, if any.
        claim_id: The claim that took it; None while the worker has not asked for it.
        cancel: Set when the worker must be told to stop.
        last_event_seq: Highest sequence number of the worker's events taken so far; 0 at first.
        last_log_seq: Likewise for its logs.
    """

    run_id: str
    attempt: int
    fence: int
    worker_id: str
    state: OpRunState
    phase: str | None
    opened_at: datetime
    claim_id: str | None
    claimed_at: datetime | None
    lease_expires_at: datetime
    cancel: CancelIntent | None
    last_event_seq: int
    last_log_seq: int


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as the server knows it.

    Attributes:
        problem: "" when its engine is well, else what is wrong, in words.
        removed: An operator removed it; it may register again.
        images: References and digests of the images on its machine.
        quarantined: Why, by UUID, GPUs get no work although the worker sees nothing wrong; read
            with the worker, not written with it.
    """

    id: str
    name: str
    machine_id: str
    session_id: str
    boot_id: str
    version: str
    runtime: str
    capacity: Capacity
    registered_at: datetime
    last_seen_at: datetime
    tags: dict[str, str] = field(default_factory=dict[str, str])
    draining: bool = False
    problem: str = ""
    removed: bool = False
    images: frozenset[str] = frozenset()
    quarantined: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class GpuRecord:
    """What is known against a GPU.

    Attributes:
        failed: The ops whose attempts failed on it since the last that completed.
        quarantined_at: Since when it gets no work; None while it does.
        why: The same in words.
    """

    worker_id: str
    uuid: str
    failed: tuple[str, ...] = ()
    quarantined_at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pulse:
    """When the control plane last lived, and until when no lease counts as over.

    Attributes:
        ticked_at: Noted every few seconds by any server.
        amnesty_until: Set after a gap in the ticking; None before the first.
        brake_until: Set when most workers fell silent at once; None when that is over.
    """

    ticked_at: datetime
    amnesty_until: datetime | None = None
    brake_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A piece of output to be stored; at most 64 KiB of text."""

    t: datetime
    stream: LogStream
    text: str


@dataclass(frozen=True, slots=True)
class StoredLog:
    """A stored piece of output; `number` grows by one per attempt, with gaps where it was cut."""

    number: int
    attempt: int
    t: datetime
    stream: LogStream
    text: str


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A stored file, named by its content.

    Attributes:
        used_at: When somebody last meant to use it; None is when it was created.
    """

    sha256: str
    size_bytes: int
    media_type: str
    created_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunArtifact:
    """A file that an attempt left, under the name it had there."""

    attempt: int
    ref: ArtifactRef


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """The answer that a request with this key got.

    Attributes:
        request_hash: Hash of the request; another hash under the same key is a mistake.
        status: HTTP status of the answer.
        body: Its JSON text.
    """

    request_hash: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event on its way to a destination.

    Attributes:
        id: Grows with time.
        event_id: `<run id>:<number>`, the receivers' deduplication key.
        sent_at: None while it waits.
    """

    id: int
    event_id: str
    run_id: str
    number: int
    destination: str
    created_at: datetime
    sent_at: datetime | None = None

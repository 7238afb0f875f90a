"""Typed messages of the HTTP API and of the worker protocol, shared by server, client and worker.

Requests that people write refuse unknown fields, so that a typo is an answer and not a surprise;
worker messages and every answer ignore them, so that neighbouring versions understand each other.
Run, attempt and definition documents are the `to_dict()` forms of `gyoza.models`; the structs here
that mirror them exist to describe them (OpenAPI) and to check them in tests. Times between machines
are integer microseconds since the epoch (`_us`); times that people read are RFC 3339 text in UTC.
"""

from __future__ import annotations

import difflib
from typing import Any, Final, Literal, TypeVar

import msgspec

from gyoza.wire import strict_json

PROTOCOL_VERSION: Final = 1
DEFAULT_PRIORITY: Final = 5
MAX_PRIORITY: Final = 100
MAX_BATCH: Final = 10_000

JsonObject = dict[str, Any]
M = TypeVar("M", bound=msgspec.Struct)


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A body that a person or a program of theirs writes."""


class Message(msgspec.Struct, kw_only=True, omit_defaults=False):
    """A body that gyoza itself writes."""


# --- requests of callers ---------------------------------------------------------------------


class PutDefinition(Request):
    """Register a version of an op; the members are those of `OpDefinition.to_dict()`.

    `createdAt` and `updatedAt` are accepted, so that a document can be sent back, and ignored.
    """

    id: str
    version: str
    image: str
    image_digest: str | None = None
    input_specs: JsonObject = {}
    output_specs: JsonObject = {}
    constraints: JsonObject = {}
    retry_policy: JsonObject = {}
    event_delivery: JsonObject = {}
    execution: JsonObject = {}
    createdAt: str | None = None
    updatedAt: str | None = None


class RollBack(Request):
    """Make an earlier version of an op the current one; null is the one registered before it."""

    version: str | None = None


class PatchLimits(Request):
    """Change what holds an op's runs back; what is left out stays.

    Attributes:
        paused: Whether nothing of it is started.
        max_parallel: How many of its runs may be at work at once, from 0; null takes the limit off.
    """

    paused: bool | msgspec.UnsetType = msgspec.UNSET
    max_parallel: int | msgspec.UnsetType | None = msgspec.UNSET


class PutQuota(Request):
    """Give an owner a quota of its own; null is the server's default for all owners.

    Attributes:
        max_queued: Runs that may wait.
        max_active: Attempts that may be at work at once.
    """

    owner: str
    max_queued: int | None = None
    max_active: int | None = None


class LimitsView(Message):
    """What holds an op's runs back.

    Attributes:
        paused: Whether nothing of it is started.
        max_parallel: How many of its runs may be at work at once; null sets no limit.
        at_work: Attempts at work, those of lost workers among them.
    """

    op: str
    paused: bool
    max_parallel: int | None
    at_work: int


class QuotaView(Message):
    """What an owner may have, and has; null is no limit.

    Attributes:
        queued: Runs that wait, counted up to 10,000 or the quota.
        active: Attempts at work.
    """

    owner: str
    max_queued: int | None
    max_active: int | None
    queued: int
    active: int


class QuotaDefaults(Message):
    """The quota of owners that have none of their own; null is no limit."""

    max_queued: int | None
    max_active: int | None


class QuotasView(Message):
    """The quotas of owners that have one, and of all others."""

    items: list[QuotaView]
    defaults: QuotaDefaults


class SubmitRun(Request):
    """Ask for one run: of a definition (`op_definition`) or of an image, never both.

    Attributes:
        priority: 0 to 100, higher first.
        due_at: RFC 3339 time before which the run does not start.
        due_in_s: The same in seconds from the submit, by the server's clock; not both.
        timeouts: Overrides of the definition's timeouts: queue_s, pull_s, run_s, total_s.
        execution: Only for ad hoc runs; a definition brings its own.
        after: Runs that have to complete before this one starts, by their ids; if one of them ends
            otherwise, this one is cancelled. With `after_any` at most 100.
        after_any: Runs that have to end before this one starts, however they end.
    """

    op_definition: str | None = None
    op_version: str | None = None
    image: str | None = None
    inputs: JsonObject = {}
    priority: int = DEFAULT_PRIORITY
    constraints: JsonObject | None = None
    retry_policy: JsonObject | None = None
    event_delivery: JsonObject | None = None
    execution: JsonObject | None = None
    timeouts: JsonObject | None = None
    owner: str | None = None
    tags: dict[str, str] = {}
    due_at: str | None = None
    due_in_s: float | None = None
    after: list[str] = []
    after_any: list[str] = []


class SubmitBatch(Request):
    """Ask for many runs at once; each is accepted or refused on its own."""

    runs: list[JsonObject]


class PatchRun(Request):
    """Change a run: priority; outputs while no worker holds it; state CANCELLED or PENDING."""

    priority: int | None = None
    outputs: JsonObject | None = None
    state: Literal["CANCELLED", "PENDING"] | None = None


class CancelRun(Request):
    """Ask for a run to end; `reason` is shown to people."""

    reason: str = ""


class PickRuns(Request):
    """Name runs by what they have in common, to change them in portions.

    Attributes:
        state: In any of these states; none is all that the verb usually takes.
        created_before: RFC 3339; submitted before it.
        all: A request that restricts nothing is meant.
        dry_run: Only count.
        page_token: Of the answer before; "" begins.
    """

    state: list[str] = []
    op: str | None = None
    owner: str | None = None
    worker: str | None = None
    batch: str | None = None
    tags: dict[str, str] = {}
    created_before: str | None = None
    all: bool = False
    dry_run: bool = False
    page_token: str = ""


class CancelRuns(PickRuns):
    """Ask for runs to end: those PENDING, ASSIGNED or RUNNING; `reason` is shown to people."""

    reason: str = ""


class RetryRuns(PickRuns):
    """Give runs that FAILED a new attempt; those CANCELLED too when `state` names it."""


class RetryRun(Request):
    """Give a FAILED or CANCELLED run a new attempt."""


class AddEvent(Request):
    """Append an event to a run that no worker holds."""

    type: str
    msg: str | int
    payload: JsonObject = {}


class DrainWorker(Request):
    """Stop giving work to a worker; what it holds goes on."""


class ResumeWorker(Request):
    """Give a drained worker work again; with `gpu`, a UUID, only that GPU of it."""

    gpu: str | None = None


# --- answers to callers ----------------------------------------------------------------------


class Event(Message):
    """One entry of a run's timeline, numbered 1, 2, 3 ... per run."""

    number: int
    attempt: int
    t: str
    type: str
    msg: str | int
    payload: JsonObject = {}


class LogChunk(Message):
    """A piece of one output stream of one attempt, as text; `number` grows by one per attempt."""

    number: int
    attempt: int
    t: str
    stream: Literal["stdout", "stderr", "system"]
    text: str


class Page(Message):
    """One page of anything; `next_page_token` is "" at the end."""

    items: list[JsonObject]
    next_page_token: str = ""


class Problem(Message):
    """An RFC 9457 problem document.

    Attributes:
        code: Stable upper-case name of the kind of problem; programs decide by this.
        errors: For invalid input, one item per fault with its JSON pointer.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = ""
    instance: str = ""
    errors: list[Fault] = []


class Fault(Message):
    """One thing wrong with a document, and where."""

    pointer: str
    message: str


class BatchItem(Message):
    """What became of one run of a batch: `run_id`, or `problem`."""

    index: int
    run_id: str | None = None
    problem: Problem | None = None


class BatchAnswer(Message):
    """What became of a batch, in the order it was sent."""

    batch_id: str
    items: list[BatchItem]


class BulkAnswer(Message):
    """What became of one portion.

    Attributes:
        matched: Runs of it.
        done: Those that are cancelled now, or have a new attempt; 0 in a dry run.
        asked: Those at work, whose workers were asked to stop them.
        next_page_token: Of the next portion; "" when this was the last.
    """

    matched: int
    done: int = 0
    asked: int = 0
    next_page_token: str = ""


class Artifact(Message):
    """A stored file, named by its content."""

    sha256: str
    size_bytes: int
    media_type: str
    created_at: str = ""


class WorkerView(Message):
    """A worker as people see it.

    Attributes:
        state: READY, DRAINING, UNHEALTHY (its engine is sick), SILENT (no heartbeat for 15 s) or
            LOST (its lease is over).
        reserved: What its unfreed reservations add up to: cpu, ram_mb, vram_mb, and in gpus the
            megabytes on each, by UUID.
    """

    id: str
    name: str
    state: str
    version: str
    runtime: str
    capacity: Capacity
    reserved: JsonObject
    tags: dict[str, str]
    runs: list[str]
    registered_at: str
    last_seen_at: str
    detail: str = ""


# --- worker protocol -------------------------------------------------------------------------


class Gpu(Message):
    """One GPU.

    Attributes:
        vram_mb: What it has.
        index: Its position on the machine, which may be another after a reboot.
        used_mb: What others than gyoza use of it.
        problem: Why it cannot be used, in words; "" when it is well.
        is_declared: An operator says that it is there; nobody can look.
        used_basis: How `used_mb` was found, in words; "" is process by process.
    """

    uuid: str
    vram_mb: int
    index: int = 0
    name: str = ""
    used_mb: int = 0
    problem: str = ""
    is_declared: bool = False
    used_basis: str = ""


class Capacity(Message):
    """What a worker offers: whole CPUs, megabytes of RAM, GPUs."""

    cpu: int
    ram_mb: int
    gpus: list[Gpu] = []


class ContainerReport(Message):
    """A gyoza container found on the host when the worker starts.

    Attributes:
        cpu: What was granted to it, by its labels, as are the next three; 0 when they do not say.
    """

    name: str
    run_id: str
    attempt: int
    fence: int
    state: Literal["created", "running", "exited"]
    exit_code: int | None = None
    cpu: int = 0
    ram_mb: int = 0
    vram_mb: int = 0
    gpu_uuid: str | None = None


class Register(Message):
    """A worker presents itself; nothing is claimed before this is answered.

    Attributes:
        worker_id: The identity kept in the worker's state folder, `wrk_...`.
        session_id: New at each process start.
        begun: Attempts that this worker's journal knows to be begun and not ended, whether or not a
            container was found for them. One that is neither here nor among `containers` nor held
            by a live session is closed by the server.
        images: References and digests of the images on its machine, the newest 2,000 images at
            most; None when it cannot tell.
    """

    worker_id: str
    name: str
    session_id: str
    machine_id: str
    boot_id: str
    version: str
    capacity: Capacity
    protocol: int = PROTOCOL_VERSION
    runtime: str = "docker"
    tags: dict[str, str] = {}
    containers: list[ContainerReport] = []
    begun: list[Held] = []
    made: list[Held] = []
    images: list[str] | None = None


class Verdict(Message):
    """What to do with a container found at start.

    Attributes:
        verdict: ADOPT (it runs and its attempt is this worker's: go on with it), FINISH (it has
            ended or was never started, the attempt is this worker's: report what became of it),
            STOP (remove it, report nothing), LIMBO (the server does not know it: touch nothing and
            ask again at the next registration; after ten minutes it is STOP).
        why: For people and logs.
        assignment: For ADOPT and FINISH: the attempt as a claim would hand it over.
        next_event_seq: The first event number of this attempt the server has not got.
        next_log_seq: The same of log pieces.
    """

    name: str
    verdict: Literal["ADOPT", "FINISH", "STOP", "LIMBO"]
    why: str = ""
    assignment: Assignment | None = None
    next_event_seq: int = 1
    next_log_seq: int = 1


class Registered(Message):
    """The answer to a registration."""

    worker_id: str
    cluster_id: str
    server_time_us: int
    heartbeat_interval_s: float
    lease_s: float
    verdicts: list[Verdict] = []


class Held(Message):
    """An attempt that a worker holds."""

    run_id: str
    fence: int


class Heartbeat(Message):
    """A worker's sign of life; renews the leases of everything in `held`.

    Attributes:
        problem: "" when the engine is well, else what is wrong with it, in words.
        leaving: This process ends now and leaves its containers to a successor: the leases get
            longer, and no new work is assigned before the successor has registered.
        images: As `Register.images`; None when they are as they were told last.
    """

    session_id: str
    held: list[Held] = []
    gpus: list[Gpu] = []
    problem: str = ""
    leaving: bool = False
    images: list[str] | None = None


class CancelOrder(Message):
    """Stop this attempt gracefully and report it."""

    run_id: str
    fence: int
    reason: str
    message: str = ""


class HeartbeatAnswer(Message):
    """What the server wants of a worker.

    Attributes:
        cancel: Stop gracefully, report the result.
        stop: Superseded: stop at once and discard everything.
    """

    server_time_us: int
    interval_s: float
    draining: bool = False
    cancel: list[CancelOrder] = []
    stop: list[Held] = []


class Claim(Message):
    """Ask for assignments, or orders to cancel, and wait up to `wait_s` (at most 25) for some.

    Attributes:
        stopping: What the worker is stopping already, so that it is not told again.
        holding: All that the worker has taken and not ended; what it was given besides, by an
            answer that reached nobody, comes again. None: it does not say.
    """

    session_id: str
    claim_id: str
    wait_s: float = 25.0
    stopping: list[Held] = []
    holding: list[Held] | None = None


class Assignment(Message):
    """Everything a worker needs to carry out one attempt.

    Attributes:
        token: HMAC(cluster secret, run, fence); every later write names it.
        granted: cpu, ram_mb, vram_mb that the planner reserved.
        output_specs: As `OutputSpecs.to_dict()`, {} when nothing is declared.
        execution: As `Execution.to_dict()`.
    """

    run_id: str
    attempt: int
    fence: int
    token: str
    image: str
    inputs: JsonObject
    granted: JsonObject
    execution: JsonObject
    output_specs: JsonObject = {}
    input_specs: JsonObject = {}
    image_digest: str | None = None
    gpu_uuid: str | None = None
    op_definition: str | None = None
    op_version: str | None = None
    deadline_us: int | None = None
    cancel: CancelOrder | None = None


class Claimed(Message):
    """The answer to a claim; empty when the wait passed with nothing to do."""

    assignments: list[Assignment] = []
    cancel: list[CancelOrder] = []


class ReportedEvent(Message):
    """An event of the op or of the worker, numbered 1, 2, 3 ... by the worker per attempt."""

    seq: int
    t_us: int
    type: Literal["STARTED", "PROGRESS", "INFO", "ERROR"]
    msg: str | int
    payload: JsonObject = {}


class ReportedLog(Message):
    """A piece of output, numbered by the worker per attempt; at most 64 KiB of text."""

    seq: int
    t_us: int
    stream: Literal["stdout", "stderr", "system"]
    text: str


class Result(Message):
    """How an attempt ended.

    Attributes:
        outcome: COMPLETED, FAILED or CANCELLED.
        reason: For FAILED and CANCELLED: USER_ERROR, BAD_INPUT, OOM, TIMEOUT, OUTPUT_INVALID ...
        charged: False when machinery failed, not the user's code.
        retryable: False when another attempt cannot help (bad input, invalid output).
        evidence: What the decision rests on: exit code, engine's flags, stage.
    """

    outcome: Literal["COMPLETED", "FAILED", "CANCELLED"]
    finished_at_us: int
    reason: str | None = None
    message: str = ""
    charged: bool = True
    retryable: bool = True
    retry_after_ms: int | None = None
    exit_code: int | None = None
    outputs: JsonObject = {}
    artifacts: list[ArtifactRef] = []
    started_at_us: int | None = None
    duration_ms: int | None = None
    image_digest: str | None = None
    evidence: JsonObject = {}


class ArtifactRef(Message):
    """A file an attempt left; the form of `{"$artifact": {...}}`."""

    sha256: str
    size_bytes: int
    media_type: str
    name: str


class ReportItem(Message):
    """What one attempt has to say: a phase, events, logs, at last its result; all may be absent."""

    run_id: str
    fence: int
    token: str
    phase: str | None = None
    events: list[ReportedEvent] = []
    logs: list[ReportedLog] = []
    result: Result | None = None


class Report(Message):
    """One batch per worker and moment, for all its runs."""

    session_id: str
    items: list[ReportItem]


class ReportAnswer(Message):
    """The answer to one report item.

    Attributes:
        status: OK (also for repeats), STALE (stop and discard), GAP (send again
            from `expected_event_seq` or `expected_log_seq`), INVALID (`detail` says what).
    """

    run_id: str
    fence: int
    status: Literal["OK", "STALE", "GAP", "INVALID"]
    detail: str = ""
    expected_event_seq: int | None = None
    expected_log_seq: int | None = None


class Reported(Message):
    """Per-item answers, in the order of the report."""

    items: list[ReportAnswer]


class ReleaseItem(Message):
    """An assignment given back unstarted."""

    run_id: str
    fence: int
    token: str
    reason: str = ""


class Release(Message):
    """Assignments given back: ASSIGNED -> PENDING, same attempt, next fence."""

    session_id: str
    items: list[ReleaseItem]


def decode(text: bytes | str, kind: type[M], *, max_bytes: int | None = None) -> M:
    """Parse strictly and check against a message type.

    Raises:
        StrictJsonError: Not acceptable JSON, or not of this type; the pointer says where.
    """
    return convert(strict_json.loads(text, max_bytes=max_bytes), kind)


def convert(value: Any, kind: type[M]) -> M:
    """Check a parsed value against a message type.

    Raises:
        StrictJsonError: The value is not of this type; the pointer says where.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _as_strict_error(error, kind) from None


def encode(message: msgspec.Struct) -> bytes:
    """Write a message as strict JSON.

    Raises:
        StrictJsonError: User data inside holds something strict JSON has no form for.
    """
    return strict_json.dumps(msgspec.to_builtins(message))


def _as_strict_error(
    error: msgspec.ValidationError, kind: type[msgspec.Struct]
) -> strict_json.StrictJsonError:
    # msgspec ends its message with " - at `$.a[0].b`"; a JSON pointer is what callers can use.
    text, _, path = str(error).partition(" - at `$")
    pointer = path.rstrip("`").replace("[...]", "").replace("[", ".").replace("]", "")
    return strict_json.StrictJsonError(text + _nearest(text, kind), pointer.replace(".", "/"))


def _nearest(text: str, kind: type[msgspec.Struct]) -> str:
    _, _, rest = text.partition("unknown field `")
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    given = rest.rstrip("`")
    longer = [name for name in names if given and name.startswith(f"{given}_")]
    close = difflib.get_close_matches(given, names, n=1) or longer
    return f"; did you mean `{close[0]}`?" if close else ""

"""One pure function per endpoint: what to send, and how to read the answer.

Paths, methods and bodies are those of docs/architecture/contracts.md. Nothing here sends anything,
repeats anything or knows time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from gyoza.client import _answers
from gyoza.client._effects import Answer, Request
from gyoza.models import EventEntry, OpDefinition, OpRun
from gyoza.wire import strict_json
from gyoza.wire.messages import (
    AddEvent,
    Artifact,
    ArtifactRef,
    BatchAnswer,
    BulkAnswer,
    CancelRun,
    Event,
    JsonObject,
    LimitsView,
    LogChunk,
    PatchLimits,
    PatchRun,
    PutDefinition,
    PutQuota,
    QuotasView,
    QuotaView,
    RollBack,
    SubmitRun,
    WorkerView,
    convert,
)

T = TypeVar("T")
API: Final = "/api/v1"
PAGE_SIZE: Final = 200
_JSON: Final = {"Content-Type": "application/json"}
_STREAM: Final = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
_ANSWERED_BY_THE_SERVER: Final = ("createdAt", "updatedAt")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and the meaning of its answer.

    Attributes:
        request: What to send.
        read: Turns a good answer into the result.
        is_repeatable: Whether sending it twice has the effect of sending it once.
    """

    request: Request
    read: Callable[[Answer], T]
    is_repeatable: bool = True


@dataclass(frozen=True, slots=True)
class PageOf(Generic[T]):
    """One page of a list, and what leads to the next ("" at the end)."""

    items: list[T]
    next_page_token: str


# --- definitions -----------------------------------------------------------------------------


def put_definition(op: OpDefinition, *, dry_run: bool = False) -> Call[OpDefinition]:
    """Register a version of an op, or only have it checked."""
    sent = {k: v for k, v in op.to_dict().items() if k not in _ANSWERED_BY_THE_SERVER}
    body = convert(sent, PutDefinition)
    request = _json("PUT", "/definitions", body)
    if dry_run:
        request = replace(request, query=(("dry_run", "true"),))
    return Call(request, _answers.definition)


def get_definition(name: str, version: str | None) -> Call[OpDefinition]:
    """Read the current version of an op, or the one named."""
    path = _path("definitions", name)
    if version is not None:
        path = _path("definitions", name, "versions", version)
    return Call(Request("GET", path), _answers.definition)


def list_definitions(page_token: str, *, archived: bool) -> Call[PageOf[OpDefinition]]:
    """Read one page of ops."""
    query = [*_page_query(page_token), *([("archived", "true")] if archived else [])]
    return Call(
        Request("GET", _path("definitions"), tuple(query)), _page_of(OpDefinition.from_dict)
    )


def list_versions(name: str) -> Call[PageOf[OpDefinition]]:
    """Read all versions of an op, newest first."""
    path = _path("definitions", name, "versions")
    return Call(Request("GET", path), _page_of(OpDefinition.from_dict))


def definition_schema(name: str, version: str | None) -> Call[JsonObject]:
    """Read the JSON Schemas of an op's inputs and outputs."""
    query = () if version is None else (("version", version),)
    return Call(Request("GET", _path("definitions", name, "schema"), query), _answers.document)


def roll_back_definition(name: str, version: str | None, key: str) -> Call[OpDefinition]:
    """Make an earlier version of an op the current one."""
    path = f"/definitions/{_quoted(name)}/rollback"
    return Call(_json("POST", path, RollBack(version=version), key), _answers.definition)


def archive_definition(name: str) -> Call[None]:
    """Let an op take no new runs."""
    return Call(Request("DELETE", _path("definitions", name)), _nothing)


def op_limits(name: str) -> Call[LimitsView]:
    """Read an op's limits."""
    return Call(Request("GET", _path("definitions", name, "limits")), _limits)


def list_op_limits() -> Call[PageOf[LimitsView]]:
    """Read the limits of the ops that have any."""
    return Call(Request("GET", _path("limits")), _page_of(lambda item: convert(item, LimitsView)))


def change_op_limits(name: str, change: PatchLimits) -> Call[LimitsView]:
    """Pause, resume or limit an op."""
    return Call(_json("PATCH", f"/definitions/{_quoted(name)}/limits", change), _limits)


# --- quotas ----------------------------------------------------------------------------------


def list_quotas() -> Call[QuotasView]:
    """Read all quotas."""
    return Call(
        Request("GET", _path("quotas")), lambda answer: _answers.message(answer, QuotasView)
    )


def put_quota(owner: str, max_queued: int | None, max_active: int | None) -> Call[QuotaView]:
    """Give an owner a quota of its own."""
    body = PutQuota(owner=owner, max_queued=max_queued, max_active=max_active)
    return Call(_json("PUT", "/quotas", body), lambda answer: _answers.message(answer, QuotaView))


def remove_quota(owner: str) -> Call[None]:
    """Leave an owner to the server's defaults."""
    return Call(Request("DELETE", _path("quotas"), query=(("owner", owner),)), _nothing)


# --- runs ------------------------------------------------------------------------------------


def submit_run(run: SubmitRun, key: str) -> Call[OpRun]:
    """Submit one run."""
    return Call(_json("POST", "/runs", run, key), _answers.run)


def submit_batch(documents: Sequence[JsonObject], key: str) -> Call[BatchAnswer]:
    """Submit many runs."""
    # Not the struct: to_builtins would copy ten thousand documents for nothing.
    request = _json("POST", "/runs:batch", {"runs": list(documents)}, key)
    return Call(request, lambda answer: _answers.message(answer, BatchAnswer))


def change_runs(verb: Literal["cancel", "retry"], body: JsonObject) -> Call[BulkAnswer]:
    """Cancel or retry one portion of the runs that match."""
    request = _json("POST", f"/runs:{verb}", body)
    return Call(request, lambda answer: _answers.message(answer, BulkAnswer))


def list_runs(filters: Sequence[tuple[str, str]], page_token: str) -> Call[PageOf[OpRun]]:
    """Read one page of runs, newest first."""
    query = (*filters, *_page_query(page_token))
    return Call(Request("GET", _path("runs"), query), _page_of(OpRun.from_dict))


def list_run_documents(
    filters: Sequence[tuple[str, str]], page_token: str
) -> Call[PageOf[JsonObject]]:
    """Read one page of runs as they are sent, newest first."""
    query = (*filters, *_page_query(page_token))
    return Call(Request("GET", _path("runs"), query), _page_of(lambda item: item))


def get_run_document(run_id: str) -> Call[JsonObject]:
    """Read a run as it is sent."""
    return Call(Request("GET", _path("runs", run_id)), _answers.document)


def get_run(run_id: str) -> Call[OpRun]:
    """Read a run with its newest events."""
    return Call(Request("GET", _path("runs", run_id)), _answers.run)


def patch_run(run_id: str, change: PatchRun) -> Call[OpRun]:
    """Change a run; asking twice for the same values changes nothing more."""
    # A state is the exception: a run that was retried, ended and is retried again is another one.
    repeatable = change.state != "PENDING"
    return Call(_json("PATCH", f"/runs/{_quoted(run_id)}", change), _answers.run, repeatable)


def cancel_run(run_id: str, reason: str, key: str) -> Call[OpRun]:
    """Ask for a run to end."""
    path = f"/runs/{_quoted(run_id)}/cancel"
    return Call(_json("POST", path, CancelRun(reason=reason), key), _answers.run)


def retry_run(run_id: str, key: str) -> Call[OpRun]:
    """Give an ended run a new attempt."""
    return Call(_json("POST", f"/runs/{_quoted(run_id)}/retry", {}, key), _answers.run)


def add_event(run_id: str, event: AddEvent, key: str) -> Call[EventEntry]:
    """Append an event to a run."""
    path = f"/runs/{_quoted(run_id)}/events"
    return Call(_json("POST", path, event, key), _event_entry)


def list_events(run_id: str, after: int) -> Call[PageOf[Event]]:
    """Read one page of a run's events, those numbered above `after`."""
    query = (("after", str(after)), ("page_size", str(PAGE_SIZE)))
    return Call(Request("GET", _path("runs", run_id, "events"), query), _page_of(event))


def list_logs(
    run_id: str, *, attempt: int | None, after: int, tail: int | None = None
) -> Call[PageOf[LogChunk]]:
    """Read one page of an attempt's log chunks."""
    query = _log_query(attempt, tail)
    query += [("after", str(after))] if after else []
    query += [] if tail is not None else [("page_size", str(PAGE_SIZE))]
    return Call(Request("GET", _path("runs", run_id, "logs"), tuple(query)), _page_of(log_chunk))


def list_artifacts(run_id: str) -> Call[PageOf[ArtifactRef]]:
    """Read which files a run left."""
    path = _path("runs", run_id, "artifacts")
    return Call(Request("GET", path), _page_of(lambda item: convert(item, ArtifactRef)))


def explain_run(run_id: str) -> Call[JsonObject]:
    """Read why a run is where it is."""
    return Call(Request("GET", _path("runs", run_id, "explain")), _answers.document)


def follow_events(run_id: str, last_id: str) -> Request:
    """Follow a run's events from the one after `last_id` on ("" is the first)."""
    return Request("GET", _path("runs", run_id, "events"), headers=_resumed(last_id))


def follow_logs(run_id: str, last_id: str, *, attempt: int | None, tail: int | None) -> Request:
    """Follow a run's logs from the chunk after `last_id` on ("" starts by `tail`)."""
    query = tuple(_log_query(attempt, None if last_id else tail))
    return Request("GET", _path("runs", run_id, "logs"), query, _resumed(last_id))


# --- workers ---------------------------------------------------------------------------------


def list_workers() -> Call[PageOf[WorkerView]]:
    """Read all workers."""
    return Call(Request("GET", _path("workers")), _page_of(lambda item: convert(item, WorkerView)))


def get_worker(worker_id: str) -> Call[WorkerView]:
    """Read one worker."""
    return Call(Request("GET", _path("workers", worker_id)), _worker)


def drain_worker(worker_id: str, key: str) -> Call[WorkerView]:
    """Give a worker no more work."""
    return Call(_json("POST", f"/workers/{_quoted(worker_id)}/drain", {}, key), _worker)


def resume_worker(worker_id: str, gpu: str | None, key: str) -> Call[WorkerView]:
    """Give a drained worker work again, or one of its GPUs."""
    body = {} if gpu is None else {"gpu": gpu}
    return Call(_json("POST", f"/workers/{_quoted(worker_id)}/resume", body, key), _worker)


def remove_worker(worker_id: str) -> Call[None]:
    """Forget a worker."""
    return Call(Request("DELETE", _path("workers", worker_id)), _nothing)


# --- artifacts and health --------------------------------------------------------------------


def has_artifact(sha256: str) -> Call[None]:
    """Ask whether a file is stored; NotFound when it is not."""
    return Call(Request("HEAD", _path("artifacts", sha256)), _nothing)


def put_artifact(sha256: str, body: bytes | Path, media_type: str) -> Call[Artifact]:
    """Store a file under its hash."""
    request = Request(
        "PUT", _path("artifacts", sha256), headers={"Content-Type": media_type}, body=body
    )
    return Call(request, lambda answer: _answers.message(answer, Artifact))


def resume_artifact(
    sha256: str, offset: int, body: bytes | Path, media_type: str
) -> Call[Artifact]:
    """Go on with an upload after the bytes that have arrived.

    Args:
        sha256: Of the whole file.
        offset: How many have arrived.
        body: The whole file.
        media_type: The whole file's.
    """
    headers = {
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1",
        "Upload-Media-Type": media_type,
    }
    request = Request("PATCH", _path("artifacts", sha256), headers=headers)
    if isinstance(body, bytes):
        request = replace(request, body=body[offset:])
    else:
        request = replace(request, body=body, skip=offset)
    return Call(request, lambda answer: _answers.message(answer, Artifact))


def get_artifact(sha256: str) -> Request:
    """Read a stored file."""
    return Request("GET", _path("artifacts", sha256))


def readiness() -> Call[JsonObject]:
    """Ask whether the server can serve."""
    return Call(Request("GET", "/readyz"), _answers.document)


# --- reading items ---------------------------------------------------------------------------


def event(item: JsonObject) -> Event:
    """Read one event."""
    return convert(item, Event)


def log_chunk(item: JsonObject) -> LogChunk:
    """Read one log chunk."""
    return convert(item, LogChunk)


def _event_entry(answer: Answer) -> EventEntry:
    read = _answers.message(answer, Event)
    fields = {"t": read.t, "type": read.type, "msg": read.msg, "payload": read.payload}
    return EventEntry.from_dict(fields)


def _limits(answer: Answer) -> LimitsView:
    return _answers.message(answer, LimitsView)


def _worker(answer: Answer) -> WorkerView:
    return _answers.message(answer, WorkerView)


def _nothing(answer: Answer) -> None:
    del answer


def _page_of(item: Callable[[JsonObject], T]) -> Callable[[Answer], PageOf[T]]:
    def read(answer: Answer) -> PageOf[T]:
        page = _answers.page(answer)
        try:
            return PageOf([item(each) for each in page.items], page.next_page_token)
        except ValueError as error:
            raise _answers.unreadable(answer, str(error)) from error

    return read


# --- writing requests ------------------------------------------------------------------------


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _path(*parts: str) -> str:
    return "/".join((API, *(_quoted(part) for part in parts)))


def _json(
    method: str, path: str, body: msgspec.Struct | Mapping[str, Any], key: str = ""
) -> Request:
    plain = msgspec.to_builtins(body) if isinstance(body, msgspec.Struct) else body
    headers = {**_JSON, "Idempotency-Key": key} if key else _JSON
    return Request(method, API + path, headers=headers, body=strict_json.dumps(plain))


def _page_query(page_token: str) -> list[tuple[str, str]]:
    token = [("page_token", page_token)] if page_token else []
    return [("page_size", str(PAGE_SIZE)), *token]


def _log_query(attempt: int | None, tail: int | None) -> list[tuple[str, str]]:
    query = [("attempt", attempt), ("tail", tail)]
    return [(name, str(value)) for name, value in query if value is not None]


def _resumed(last_id: str) -> dict[str, str]:
    return {**_STREAM, "Last-Event-ID": last_id} if last_id else dict(_STREAM)

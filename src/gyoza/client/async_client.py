"""The client for tasks: one line per method over the calls and flows both clients share.

A test compares names, parameters, defaults and docstrings with those of `GyozaClient`.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gyoza.client import _calls, _files, _flows, _following
from gyoza.client._bulk import BulkSummary, RunSelection, change_runs
from gyoza.client._drivers import AsyncDriver
from gyoza.client._submission import Document, change, run_filters, submission
from gyoza.client.files import AsyncFileRef, FileInput, FileSource
from gyoza.client.handles import AsyncRunHandle
from gyoza.client.settings import DEFAULT_TIMEOUT_S, ClientSettings, read_settings
from gyoza.models import (
    Constraints,
    EventDelivery,
    EventEntry,
    EventType,
    OpDefinition,
    OpRun,
    OpRunState,
    RetryPolicy,
)
from gyoza.wire.messages import (
    DEFAULT_PRIORITY,
    AddEvent,
    Artifact,
    ArtifactRef,
    BatchAnswer,
    Event,
    JsonObject,
    LimitsView,
    LogChunk,
    PatchLimits,
    QuotasView,
    QuotaView,
    SubmitRun,
    WorkerView,
)

if TYPE_CHECKING:
    import httpx2


class AsyncGyozaClient:
    """Talks to a gyoza server; a context manager, and safe to share between tasks of one loop.

    Calls that may be sent twice without harm are repeated after passing trouble; every POST carries
    an Idempotency-Key, so these are among them. All methods raise `gyoza.client.errors.GyozaError`.

    Args:
        base_url: The server; None takes `GYOZA_SERVER_URL`, else the address of this user's running
            `gyoza dev`, else `http://localhost:5555`.
        api_key: None takes `GYOZA_API_KEY`, or else none.
        timeout: Seconds for connecting, and for each silence while an answer is awaited.
        settings: All of it at once, instead of the arguments before.
        transport: What carries requests instead of sockets, such as `httpx2.MockTransport`.

    Raises:
        ValueError: The address or the timeout makes no sense.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        *,
        settings: ClientSettings | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings = settings or read_settings(base_url, api_key, timeout)
        self._backoff = self.settings.backoff
        self._driver = AsyncDriver(self.settings, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        await self._driver.close()

    # --- definitions -------------------------------------------------------------------------

    async def upsert_definition(self, op: OpDefinition, *, dry_run: bool = False) -> OpDefinition:
        """Register a version of an op and make it the current one.

        Args:
            op: The version.
            dry_run: Whether to be refused what would be refused, and to change nothing.

        Raises:
            InvalidInput: The definition is not acceptable; `faults` says what and where.
            Conflict: The version is registered with other content.
        """
        return await self._perform(_calls.put_definition(op, dry_run=dry_run))

    async def get_definition(self, name: str, version: str | None = None) -> OpDefinition:
        """Return an op's definition.

        Args:
            name: Op id.
            version: None is the current one.

        Raises:
            NotFound: No such op, or no such version of it.
        """
        return await self._perform(_calls.get_definition(name, version))

    async def list_definitions(self, *, archived: bool = False) -> list[OpDefinition]:
        """Return the current definition of every op, by id.

        Args:
            archived: Whether archived ops are listed too.
        """
        return await self._driver.run(
            _flows.collect(
                lambda token: _calls.list_definitions(token, archived=archived), self._backoff
            )
        )

    async def list_versions(self, name: str) -> list[OpDefinition]:
        """Return all versions of an op, newest first.

        Raises:
            NotFound: No such op.
        """
        return (await self._perform(_calls.list_versions(name))).items

    async def roll_back_definition(self, name: str, version: str | None = None) -> OpDefinition:
        """Make an earlier version of an op the current one and return it.

        Runs that were submitted keep their version.

        Args:
            name: Op id.
            version: None is the one registered before the current one.

        Raises:
            NotFound: No such op, or no such version of it.
            Conflict: The op is archived, or no version is earlier.
        """
        return await self._perform(_calls.roll_back_definition(name, version, _new_key()))

    async def definition_schema(self, name: str, version: str | None = None) -> JsonObject:
        """Return an op's `inputs` and `outputs`, each as one JSON Schema (draft 2020-12).

        Args:
            name: Op id.
            version: None is the current one.

        Raises:
            NotFound: No such op, or no such version of it.
        """
        return await self._perform(_calls.definition_schema(name, version))

    async def archive_definition(self, name: str) -> None:
        """Let an op take no new runs; putting a version brings it back.

        Raises:
            NotFound: No such op.
        """
        return await self._perform(_calls.archive_definition(name))

    async def op_limits(self, name: str) -> LimitsView:
        """Return what holds an op's runs back, and how many are at work.

        Raises:
            NotFound: No such op.
        """
        return await self._perform(_calls.op_limits(name))

    async def list_op_limits(self) -> list[LimitsView]:
        """Return the limits of the ops that have any, by id."""
        return (await self._perform(_calls.list_op_limits())).items

    async def pause_op(self, name: str) -> LimitsView:
        """Start no more runs of an op; it takes them, and what is at work goes on.

        Raises:
            NotFound: No such op.
        """
        return await self._perform(_calls.change_op_limits(name, PatchLimits(paused=True)))

    async def resume_op(self, name: str) -> LimitsView:
        """Start runs of a paused op again.

        Raises:
            NotFound: No such op.
        """
        return await self._perform(_calls.change_op_limits(name, PatchLimits(paused=False)))

    async def limit_op(self, name: str, max_parallel: int | None) -> LimitsView:
        """Set how many runs of an op may be at work at once.

        Args:
            name: Op id.
            max_parallel: 0 or more; None takes the limit off.

        Raises:
            NotFound: No such op.
            InvalidInput: The limit makes no sense.
        """
        change = PatchLimits(max_parallel=max_parallel)
        return await self._perform(_calls.change_op_limits(name, change))

    # --- quotas ------------------------------------------------------------------------------

    async def list_quotas(self) -> QuotasView:
        """Return the quotas that owners have of their own, and those of all others."""
        return await self._perform(_calls.list_quotas())

    async def put_quota(
        self, owner: str, *, max_queued: int | None = None, max_active: int | None = None
    ) -> QuotaView:
        """Give an owner a quota of its own instead of any that it had.

        Args:
            owner: Who submits.
            max_queued: Runs that may wait; None is the server's default.
            max_active: Attempts that may be at work at once; likewise.

        Raises:
            InvalidInput: A figure makes no sense, or none is given.
        """
        return await self._perform(_calls.put_quota(owner, max_queued, max_active))

    async def remove_quota(self, owner: str) -> None:
        """Leave an owner to the server's defaults.

        Raises:
            NotFound: It has no quota of its own.
        """
        return await self._perform(_calls.remove_quota(owner))

    # --- submitting --------------------------------------------------------------------------

    async def run(
        self,
        op: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | None = None,
        priority: int = DEFAULT_PRIORITY,
        tags: Mapping[str, str] | None = None,
        timeouts: Document | JsonObject | None = None,
        due_at: datetime | None = None,
        due_in_s: float | None = None,
        idempotency_key: str | None = None,
        wait: bool = False,
        after: Sequence[str] = (),
        after_any: Sequence[str] = (),
    ) -> AsyncRunHandle:
        """Submit a run of an op and return what follows it.

        Args:
            op: Op id.
            inputs: What the op declares; None means none. A Path, bytes, an open file or a
                `FileInput`, at any depth, is uploaded and is a file to the op.
            version: None is the current one.
            priority: 0 to 100, higher first.
            tags: Your own labels, to find the run by.
            timeouts: Overrides of the op's timeouts, in seconds.
            due_at: Not to be started before; None means at once.
            due_in_s: The same as seconds from now, by the server's clock; not both.
            idempotency_key: The same key and request give the same run again; None makes a new
                one for this call.
            wait: Whether to return only once the run is over.
            after: Ids of runs that have to complete first; if one of them ends otherwise, this run
                is cancelled.
            after_any: Ids of runs that have to end first, however they end.

        Raises:
            InvalidInput: Inputs are missing, mistyped or undeclared; nothing was created.
            NotFound: No such op, or no such version of it.
        """
        body = submission(
            op=op,
            version=version,
            inputs=inputs,
            priority=priority,
            tags=tags,
            timeouts=timeouts,
            due_at=due_at,
            due_in_s=due_in_s,
            after=after,
            after_any=after_any,
        )
        return await self._submitted(body, idempotency_key, wait=wait)

    async def run_image(
        self,
        image: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        priority: int = DEFAULT_PRIORITY,
        constraints: Constraints | JsonObject | None = None,
        retry_policy: RetryPolicy | JsonObject | None = None,
        event_delivery: EventDelivery | JsonObject | None = None,
        execution: Document | JsonObject | None = None,
        tags: Mapping[str, str] | None = None,
        timeouts: Document | JsonObject | None = None,
        due_at: datetime | None = None,
        due_in_s: float | None = None,
        idempotency_key: str | None = None,
        wait: bool = False,
        after: Sequence[str] = (),
        after_any: Sequence[str] = (),
    ) -> AsyncRunHandle:
        """Submit a run of an image that no definition describes, and return what follows it.

        Args:
            image: Reference of the image.
            inputs: Given to the container as they are, but for files, which are uploaded (a Path,
                bytes, an open file, a `FileInput`); None means none.
            priority: 0 to 100, higher first.
            constraints: CPUs, RAM and VRAM; None is the server's default.
            retry_policy: None is one attempt.
            event_delivery: Where events go; None is the sink's default.
            execution: Command, timeouts, network and the like; None is the defaults.
            tags: Your own labels, to find the run by.
            timeouts: Overrides of the timeouts, in seconds.
            due_at: Not to be started before; None means at once.
            due_in_s: The same as seconds from now, by the server's clock; not both.
            idempotency_key: The same key and request give the same run again; None makes a new
                one for this call.
            wait: Whether to return only once the run is over.
            after: Ids of runs that have to complete first; if one of them ends otherwise, this run
                is cancelled.
            after_any: Ids of runs that have to end first, however they end.

        Raises:
            InvalidInput: The request is not acceptable; nothing was created.
        """
        body = submission(
            image=image,
            inputs=inputs,
            priority=priority,
            constraints=constraints,
            retry_policy=retry_policy,
            event_delivery=event_delivery,
            execution=execution,
            tags=tags,
            timeouts=timeouts,
            due_at=due_at,
            due_in_s=due_in_s,
            after=after,
            after_any=after_any,
        )
        return await self._submitted(body, idempotency_key, wait=wait)

    async def create_run(
        self,
        image: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        priority: int = DEFAULT_PRIORITY,
        constraints: Constraints | JsonObject | None = None,
        retry_policy: RetryPolicy | JsonObject | None = None,
        event_delivery: EventDelivery | JsonObject | None = None,
        after: Sequence[str] = (),
        after_any: Sequence[str] = (),
    ) -> OpRun:
        """Submit a run of an image that no definition describes.

        Args:
            image: Reference of the image.
            inputs: Given to the container as they are, but for files, which are uploaded (a Path,
                bytes, an open file, a `FileInput`); None means none.
            priority: 0 to 100, higher first.
            constraints: CPUs, RAM and VRAM; None is the server's default.
            retry_policy: None is one attempt.
            event_delivery: Where events go; None is the sink's default.
            after: Ids of runs that have to complete first; if one of them ends otherwise, this run
                is cancelled.
            after_any: Ids of runs that have to end first, however they end.

        Raises:
            InvalidInput: The request is not acceptable; nothing was created.
        """
        body = submission(
            image=image,
            inputs=inputs,
            priority=priority,
            constraints=constraints,
            retry_policy=retry_policy,
            event_delivery=event_delivery,
            after=after,
            after_any=after_any,
        )
        return await self._driver.run(_files.submit(body, _new_key(), self._backoff))

    async def create_run_from_definition(
        self,
        name: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | None = None,
        priority: int = DEFAULT_PRIORITY,
        after: Sequence[str] = (),
        after_any: Sequence[str] = (),
    ) -> OpRun:
        """Submit a run of an op.

        Args:
            name: Op id.
            inputs: What the op declares; None means none. A Path, bytes, an open file or a
                `FileInput`, at any depth, is uploaded and is a file to the op.
            version: None is the current one.
            priority: 0 to 100, higher first.
            after: Ids of runs that have to complete first; if one of them ends otherwise, this run
                is cancelled.
            after_any: Ids of runs that have to end first, however they end.

        Raises:
            InvalidInput: Inputs are missing, mistyped or undeclared; nothing was created.
            NotFound: No such op, or no such version of it.
        """
        body = submission(
            op=name,
            version=version,
            inputs=inputs,
            priority=priority,
            after=after,
            after_any=after_any,
        )
        return await self._driver.run(_files.submit(body, _new_key(), self._backoff))

    async def submit_batch(
        self, runs: Sequence[JsonObject], *, idempotency_key: str | None = None
    ) -> BatchAnswer:
        """Submit up to 10,000 runs at once; each is accepted or refused on its own.

        Args:
            runs: Documents as `POST /runs` takes them; files among their inputs are uploaded.
            idempotency_key: The same key and request give the same runs again; None makes a new
                one for this call.
        """
        key = idempotency_key or _new_key()
        return await self._driver.run(_files.submit_batch(runs, key, self._backoff))

    # --- reading and changing runs -----------------------------------------------------------

    def handle(self, run: OpRun | str) -> AsyncRunHandle:
        """Return what follows a run that exists already.

        Args:
            run: The run, or its id; the id is looked up at the first use.
        """
        return AsyncRunHandle(self, run)

    async def get_run(self, run_id: str) -> OpRun:
        """Return a run with its attempts and newest events.

        Args:
            run_id: Its id, or an unambiguous beginning of at least 8 characters.

        Raises:
            NotFound: No such run.
            Conflict: More than one run's id begins like this.
        """
        return await self._perform(_calls.get_run(run_id))

    def list_runs(
        self,
        *,
        state: OpRunState | str | tuple[OpRunState | str, ...] | None = None,
        op: str | None = None,
        owner: str | None = None,
        worker: str | None = None,
        tags: Mapping[str, str] | None = None,
        batch: str | None = None,
    ) -> AsyncIterator[OpRun]:
        """Iterate over runs, newest first; a page is read only when it is needed.

        Args:
            state: In this state, or any of these; None is any.
            op: Of this op.
            owner: Submitted by this owner.
            worker: Whose current attempt this worker has.
            tags: With all of these tags.
            batch: Of this batch.
        """
        filters = run_filters(
            state=state, op=op, owner=owner, worker=worker, tags=tags, batch=batch
        )
        return self._driver.iterate(
            _flows.emit_pages(lambda token: _calls.list_runs(filters, token), self._backoff)
        )

    async def get_run_document(self, run_id: str) -> JsonObject:
        """Return a run as the server's JSON, with what is no part of a run: `waiting`.

        Args:
            run_id: Its id, or an unambiguous beginning of at least 8 characters.

        Raises:
            NotFound: No such run.
            Conflict: More than one run's id begins like this.
        """
        return await self._perform(_calls.get_run_document(run_id))

    def list_run_documents(
        self,
        *,
        state: OpRunState | str | tuple[OpRunState | str, ...] | None = None,
        op: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AsyncIterator[JsonObject]:
        """Iterate over runs as the server's JSON, newest first; see `get_run_document`.

        Args:
            state: In this state, or any of these; None is any.
            op: Of this op.
            tags: With all of these tags.
        """
        filters = run_filters(state=state, op=op, owner=None, worker=None, tags=tags, batch=None)
        return self._driver.iterate(
            _flows.emit_pages(
                lambda token: _calls.list_run_documents(filters, token), self._backoff
            )
        )

    async def update_run(
        self,
        run_id: str,
        *,
        state: OpRunState | str | None = None,
        outputs: Mapping[str, Any] | None = None,
        priority: int | None = None,
    ) -> OpRun:
        """Change a run; what is None stays as it is.

        Args:
            run_id: Its id.
            state: CANCELLED asks for its end, PENDING for a new attempt of an ended run.
            outputs: Only while no worker holds the run.
            priority: 0 to 100, higher first.

        Raises:
            NotFound: No such run.
            Conflict: Its state does not take the change.
            ValueError: Another state was asked for.
        """
        return await self._perform(_calls.patch_run(run_id, change(state, outputs, priority)))

    async def cancel_run(self, run_id: str, *, reason: str = "") -> OpRun:
        """Ask for a run to end; one that a worker holds ends a little later.

        Args:
            run_id: Its id.
            reason: Shown to people.

        Raises:
            NotFound: No such run.
            Conflict: It has completed or failed already.
        """
        return await self._perform(_calls.cancel_run(run_id, reason, _new_key()))

    async def cancel_runs(
        self, wanted: RunSelection, *, reason: str = "", dry_run: bool = False
    ) -> BulkSummary:
        """Cancel all runs that match: at once while they wait, through their workers at work.

        Args:
            wanted: Which.
            reason: Shown to people.
            dry_run: Whether to count only.

        Raises:
            InvalidInput: The selection restricts nothing, or names a state that is over.
        """
        return await self._driver.run(
            change_runs("cancel", wanted, self._backoff, dry_run=dry_run, reason=reason)
        )

    async def retry_runs(self, wanted: RunSelection, *, dry_run: bool = False) -> BulkSummary:
        """Give all ended runs that match a new attempt.

        Args:
            wanted: Which; without a state, those that FAILED.
            dry_run: Whether to count only.

        Raises:
            InvalidInput: The selection restricts nothing, or names a state that cannot be retried.
        """
        return await self._driver.run(change_runs("retry", wanted, self._backoff, dry_run=dry_run))

    async def retry_run(self, run_id: str) -> OpRun:
        """Give a FAILED or CANCELLED run a new attempt.

        Raises:
            NotFound: No such run.
            Conflict: It is not over, or it has completed.
        """
        return await self._perform(_calls.retry_run(run_id, _new_key()))

    async def add_event(
        self,
        run_id: str,
        event_type: EventType | str,
        msg: str | int,
        payload: Mapping[str, Any] | None = None,
    ) -> EventEntry:
        """Append an event to a run that no worker holds.

        Args:
            run_id: Its id.
            event_type: What happened.
            msg: Text for people; for PROGRESS a percentage.
            payload: Details; None means none.

        Raises:
            NotFound: No such run.
            Conflict: A worker holds it, or it is over.
            InvalidInput: The run's state does not take the event.
        """
        kind = EventType(event_type).value
        event = AddEvent(type=kind, msg=msg, payload=dict(payload or {}))
        return await self._perform(_calls.add_event(run_id, event, _new_key()))

    async def wait_run(self, run_id: str, *, timeout: float | None = None) -> OpRun:
        """Return a run once it is over, whatever its end; bears a restart of the server.

        Args:
            run_id: Its id.
            timeout: Seconds; None waits as long as it takes.

        Raises:
            WaitTimeout: It is not over yet; it goes on.
        """
        return await self._driver.run(_following.wait(run_id, timeout, self._backoff))

    async def outputs_of(self, run: OpRun) -> JsonObject:
        """Return the outputs of a run that is over.

        Args:
            run: As last seen, and over.

        Raises:
            RunFailed: With reason, message and its last log lines.
            RunCancelled: Somebody cancelled it.
        """
        return await self._driver.run(_following.outputs_of(run, self._backoff))

    def run_events(
        self, run_id: str, *, follow: bool = False, after: int = 0
    ) -> AsyncIterator[Event]:
        """Iterate over a run's events in order.

        Args:
            run_id: Its id.
            follow: Whether to go on until the run is over, through broken connections.
            after: Only events numbered above.
        """
        if follow:
            return self._driver.iterate(_following.follow_events(run_id, after, self._backoff))
        return self._driver.iterate(_flows.emit_events(run_id, after, self._backoff))

    def run_logs(
        self,
        run_id: str,
        *,
        follow: bool = False,
        attempt: int | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogChunk]:
        """Iterate over the output of one attempt of a run, in order.

        Args:
            run_id: Its id.
            follow: Whether to go on until the run is over, through broken connections.
            attempt: Its number; None is the current one.
            tail: Begin with the last so many chunks; None begins at the beginning.
        """
        if follow:
            flow = _following.follow_logs(run_id, attempt=attempt, tail=tail, backoff=self._backoff)
        else:
            flow = _flows.emit_logs(run_id, attempt, tail, self._backoff)
        return self._driver.iterate(flow)

    async def run_artifacts(self, run_id: str) -> list[ArtifactRef]:
        """Return which files a run left.

        Raises:
            NotFound: No such run.
        """
        return (await self._perform(_calls.list_artifacts(run_id))).items

    async def explain(self, run_id: str) -> JsonObject:
        """Return why a run is where it is: for a waiting one, every worker's reason.

        Raises:
            NotFound: No such run.
        """
        return await self._perform(_calls.explain_run(run_id))

    # --- workers -----------------------------------------------------------------------------

    async def list_workers(self) -> list[WorkerView]:
        """Return all workers the server knows."""
        return (await self._perform(_calls.list_workers())).items

    async def get_worker(self, worker_id: str) -> WorkerView:
        """Return one worker.

        Raises:
            NotFound: No such worker.
        """
        return await self._perform(_calls.get_worker(worker_id))

    async def drain_worker(self, worker_id: str) -> WorkerView:
        """Give a worker no more work; what it holds goes on.

        Raises:
            NotFound: No such worker.
        """
        return await self._perform(_calls.drain_worker(worker_id, _new_key()))

    async def resume_worker(self, worker_id: str, *, gpu: str | None = None) -> WorkerView:
        """Give a drained worker work again, or one of its GPUs.

        Args:
            worker_id: Its id or name.
            gpu: UUID of a GPU to take out of quarantine, or to forget if it is missing; None is
                the worker as a whole.

        Raises:
            NotFound: No such worker.
            InvalidInput: It has no such GPU.
        """
        return await self._perform(_calls.resume_worker(worker_id, gpu, _new_key()))

    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker.

        Raises:
            NotFound: No such worker.
            Conflict: It holds runs and is not lost.
        """
        return await self._perform(_calls.remove_worker(worker_id))

    # --- artifacts and health ----------------------------------------------------------------

    async def upload(self, file: FileInput | FileSource) -> AsyncFileRef:
        """Store a file, to be used as an input as often as you like.

        What the server has already is not sent again, and a broken upload goes on where it was.

        Args:
            file: A path, a URL, bytes or an open file, or a `FileInput` to say its name and type.

        Raises:
            FetchFailed: It is at a URL and cannot be had from there.
        """
        given = file if isinstance(file, FileInput) else FileInput(file)
        value = await self._driver.run(_files.upload(given, None, self._backoff))
        return AsyncFileRef(self, _files.reference_in(value))

    async def put_artifact(
        self, content: bytes | Path, *, media_type: str = "application/octet-stream"
    ) -> Artifact:
        """Store a file under the SHA-256 of its content; a known one is not sent again.

        Args:
            content: The bytes, or the file to read them from.
            media_type: What the bytes are.

        Raises:
            OSError: The file cannot be read.
        """
        return await self._driver.run(_flows.put_artifact(content, media_type, self._backoff))

    async def read_artifact(self, sha256: str) -> bytes:
        """Return a stored file's bytes, checked against their hash.

        Raises:
            NotFound: No such file.
        """
        return await self._driver.run(_flows.read_artifact(sha256, self._backoff))

    async def get_artifact(self, sha256: str, path: Path) -> Path:
        """Bring a stored file to `path`, which appears only once it is whole and checked.

        Raises:
            NotFound: No such file.
            OSError: The file cannot be written.
        """
        return await self._driver.run(_flows.get_artifact(sha256, path, self._backoff))

    async def readiness(self) -> JsonObject:
        """Return the server's word that it can serve.

        Raises:
            ServerUnavailable: It cannot.
        """
        return await self._perform(_calls.readiness())

    async def _perform(self, call: _calls.Call[_calls.T]) -> _calls.T:
        return await self._driver.run(_flows.perform(call, self._backoff))

    async def _submitted(self, body: SubmitRun, key: str | None, *, wait: bool) -> AsyncRunHandle:
        run = await self._driver.run(_files.submit(body, key or _new_key(), self._backoff))
        handle = AsyncRunHandle(self, run)
        if wait:
            await handle.wait()
        return handle


def _new_key() -> str:
    return str(uuid.uuid4())

"""Routes of `/runs`: submitting, listing, reading and changing runs.

What follows a run while it goes on (events, logs) is in `run_timelines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from gyoza.models import OpRun
from gyoza.server.api import problems
from gyoza.server.api.documents import ArtifactPage, Explanation, RunDocument, RunPage
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.api.queries import RunsQuery, page_query, tags_of
from gyoza.server.errors import ServerError
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import idempotency, runs
from gyoza.server.use_cases.documents import run_document
from gyoza.server.use_cases.waiting import Waiting
from gyoza.wire.messages import (
    AddEvent,
    BatchAnswer,
    BatchItem,
    CancelRun,
    Event,
    JsonObject,
    PatchRun,
    RetryRun,
    SubmitBatch,
    SubmitRun,
)

OPERATIONS: Final = Operations("runs")
_RUN: Final = Answer("The run.", RunDocument)
_UNKNOWN: Final = ("RUN_NOT_FOUND", "AMBIGUOUS_ID")

Effect = Callable[[UnitOfWork], idempotency.Answer]


async def once(
    call: Call, message: msgspec.Struct, effect: Effect, headers: Mapping[str, str] | None = None
) -> tuple[idempotency.Answer, dict[str, str]]:
    """Carry out a command of a POST in one transaction with its Idempotency-Key, if it has one.

    Returns:
        The answer and its headers; a repeated answer says so in `Idempotency-Replayed`.
    """
    key = call.idempotency_key(message)
    answer, repeated = await call.server.store.write(
        lambda uow: idempotency.once(uow, key, lambda: effect(uow))
    )
    sent = dict(headers or {})
    if repeated:
        sent["Idempotency-Replayed"] = "true"
    return answer, sent


@OPERATIONS.on(
    "POST",
    "/runs",
    "submitRun",
    {201: Answer("The new run.", RunDocument)},
    body=SubmitRun,
    problems=(
        "INVALID_INPUT",
        "OP_NOT_FOUND",
        "VERSION_NOT_FOUND",
        "OP_ARCHIVED",
        "QUOTA_EXCEEDED",
    ),
    idempotent=True,
)
async def submit_run(call: Call) -> Response:
    """Submit a run of a registered op, or of an image."""
    command = await call.message(SubmitRun)
    outside = call.server.outside

    def effect(uow: UnitOfWork) -> idempotency.Answer:
        run = runs.submit_run(uow, command, outside)
        return idempotency.Answer(201, run_document(run))

    answer, headers = await once(call, command, effect)
    headers["Location"] = f"{call.operation.path}/{answer.body['id']}"
    return json_answer(answer.body, answer.status, headers)


@OPERATIONS.on(
    "POST",
    "/runs:batch",
    "submitBatch",
    {200: Answer("What became of each, in the order sent.", BatchAnswer)},
    body=SubmitBatch,
    idempotent=True,
)
async def submit_batch(call: Call) -> Response:
    """Submit up to 10,000 runs at once; each is accepted or refused on its own."""
    command = await call.message(SubmitBatch)
    outside = call.server.outside

    def effect(uow: UnitOfWork) -> idempotency.Answer:
        batch = runs.submit_batch(uow, command.runs, outside)
        return idempotency.Answer(200, _batch_document(batch))

    answer, headers = await once(call, command, effect)
    return json_answer(answer.body, answer.status, headers)


@OPERATIONS.on(
    "GET", "/runs", "listRuns", {200: Answer("A page, newest first.", RunPage)}, query=RunsQuery
)
async def list_runs(call: Call) -> Response:
    """List runs, newest first."""
    query = call.query(RunsQuery)
    outside = call.server.outside
    wanted = runs.RunQuery(
        states=tuple(query.state),
        op=query.op,
        owner=query.owner,
        worker=query.worker,
        tags=tags_of(query),
        batch=query.batch,
        page=page_query(query, call.server.settings),
    )

    def page(uow: UnitOfWork) -> JsonObject:
        found, token = runs.list_runs(uow, wanted)
        waiting = Waiting(uow, outside)
        items = [run_document(run, waiting=waiting.document(run)) for run in found]
        return {"items": items, "next_page_token": token}

    return json_answer(await call.server.store.read(page))


@OPERATIONS.on("GET", "/runs/{id}", "getRun", {200: _RUN}, problems=_UNKNOWN)
async def get_run(call: Call) -> Response:
    """Show a run by its id, or by at least 8 characters of its beginning."""
    outside = call.server.outside

    def document(uow: UnitOfWork) -> JsonObject:
        run = runs.get_run(uow, call.path("id"), events=True)
        return run_document(run, events=True, waiting=Waiting(uow, outside).document(run))

    return json_answer(await call.server.store.read(document))


@OPERATIONS.on(
    "PATCH",
    "/runs/{id}",
    "patchRun",
    {200: _RUN},
    body=PatchRun,
    problems=(
        "INVALID_INPUT",
        *_UNKNOWN,
        "RUN_ENDED",
        "RUN_HELD",
        "RUN_NOT_ENDED",
        "RUN_COMPLETED",
    ),
)
async def patch_run(call: Call) -> Response:
    """Change a run's priority or outputs, or cancel or retry it by its state."""
    command = await call.message(PatchRun)
    run = await call.server.store.write(lambda uow: runs.patch_run(uow, call.path("id"), command))
    return json_answer(run_document(run))


@OPERATIONS.on(
    "POST",
    "/runs/{id}/cancel",
    "cancelRun",
    {
        200: Answer("The run is over.", RunDocument),
        202: Answer("Its worker was asked.", RunDocument),
    },
    body=CancelRun,
    body_optional=True,
    problems=(*_UNKNOWN, "RUN_ENDED"),
    idempotent=True,
)
async def cancel_run(call: Call) -> Response:
    """End a run: at once while it waits, through its worker while it runs."""
    command = await call.message(CancelRun)

    def effect(uow: UnitOfWork) -> idempotency.Answer:
        run, ended = runs.cancel_run(uow, call.path("id"), command)
        return idempotency.Answer(200 if ended else 202, run_document(run))

    answer, headers = await once(call, command, effect)
    return json_answer(answer.body, answer.status, headers)


@OPERATIONS.on(
    "POST",
    "/runs/{id}/retry",
    "retryRun",
    {200: _RUN},
    body=RetryRun,
    body_optional=True,
    problems=(*_UNKNOWN, "RUN_NOT_ENDED", "RUN_COMPLETED"),
    idempotent=True,
)
async def retry_run(call: Call) -> Response:
    """Give a FAILED or CANCELLED run a new attempt."""
    command = await call.message(RetryRun)

    def effect(uow: UnitOfWork) -> idempotency.Answer:
        return idempotency.Answer(200, run_document(_retried(uow, call)))

    answer, headers = await once(call, command, effect)
    return json_answer(answer.body, answer.status, headers)


@OPERATIONS.on(
    "POST",
    "/runs/{id}/events",
    "addEvent",
    {201: Answer("The event.", Event)},
    body=AddEvent,
    problems=("INVALID_INPUT", *_UNKNOWN, "RUN_HELD", "RUN_ENDED"),
    idempotent=True,
)
async def add_event(call: Call) -> Response:
    """Append an event to a run that no worker holds."""
    command = await call.message(AddEvent)

    def effect(uow: UnitOfWork) -> idempotency.Answer:
        event = runs.add_event(uow, call.path("id"), command)
        return idempotency.Answer(201, msgspec.to_builtins(event))

    answer, headers = await once(call, command, effect)
    return json_answer(answer.body, answer.status, headers)


@OPERATIONS.on(
    "GET",
    "/runs/{id}/artifacts",
    "listRunArtifacts",
    {200: Answer("The files its attempts left.", ArtifactPage)},
    problems=_UNKNOWN,
)
async def list_artifacts(call: Call) -> Response:
    """List the files that a run's attempts left."""
    found = await call.server.store.read(lambda uow: runs.list_artifacts(uow, call.path("id")))
    return json_answer({"items": msgspec.to_builtins(found), "next_page_token": ""})


@OPERATIONS.on(
    "GET",
    "/runs/{id}/explain",
    "explainRun",
    {200: Answer("What is known about it.", Explanation)},
    problems=_UNKNOWN,
)
async def explain_run(call: Call) -> Response:
    """Say why a run waits, when it may start and what would let it start now; or how it went."""
    outside = call.server.outside
    return json_answer(
        await call.server.store.read(lambda uow: runs.explain_run(uow, call.path("id"), outside))
    )


def _retried(uow: UnitOfWork, call: Call) -> OpRun:
    return runs.retry_run(uow, call.path("id"))


def _batch_document(batch: runs.SubmittedBatch) -> JsonObject:
    items = [_batch_item(index, outcome) for index, outcome in enumerate(batch.outcomes)]
    return msgspec.to_builtins(BatchAnswer(batch_id=batch.batch_id, items=items))


def _batch_item(index: int, outcome: str | ServerError) -> BatchItem:
    if isinstance(outcome, str):
        return BatchItem(index=index, run_id=outcome)
    return BatchItem(index=index, problem=problems.of_error(outcome))

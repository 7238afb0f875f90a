"""Routes of `/workers` for people: what there is, draining and removing.

The protocol that workers themselves speak is in `worker_protocol`.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from gyoza.server.api.documents import WorkerPage
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.use_cases import workers
from gyoza.wire.messages import DrainWorker, ResumeWorker, WorkerView

OPERATIONS: Final = Operations("workers")
_WORKER: Final = {200: Answer("The worker.", WorkerView)}
_PROBLEMS: Final = ("WORKER_NOT_FOUND",)


@OPERATIONS.on("GET", "/workers", "listWorkers", {200: Answer("All workers.", WorkerPage)})
async def list_workers(call: Call) -> Response:
    """List workers by name."""
    outside = call.server.outside
    found = await call.server.store.read(lambda uow: workers.list_workers(uow, outside))
    return json_answer({"items": msgspec.to_builtins(found), "next_page_token": ""})


@OPERATIONS.on("GET", "/workers/{id}", "getWorker", _WORKER, problems=_PROBLEMS)
async def get_worker(call: Call) -> Response:
    """Show a worker by its id or name."""
    outside = call.server.outside
    return json_answer(
        await call.server.store.read(lambda uow: workers.get_worker(uow, call.path("id"), outside))
    )


@OPERATIONS.on(
    "POST",
    "/workers/{id}/drain",
    "drainWorker",
    _WORKER,
    body=DrainWorker,
    body_optional=True,
    problems=_PROBLEMS,
)
async def drain_worker(call: Call) -> Response:
    """Give a worker no new work; what it holds goes on."""
    await call.message(DrainWorker)
    outside = call.server.outside
    return json_answer(
        await call.server.store.write(
            lambda uow: workers.drain_worker(uow, call.path("id"), outside)
        )
    )


@OPERATIONS.on(
    "POST",
    "/workers/{id}/resume",
    "resumeWorker",
    _WORKER,
    body=ResumeWorker,
    body_optional=True,
    problems=(*_PROBLEMS, "INVALID_INPUT"),
)
async def resume_worker(call: Call) -> Response:
    """Give a drained worker work again, or one of its GPUs."""
    command = await call.message(ResumeWorker)
    outside = call.server.outside
    return json_answer(
        await call.server.store.write(
            lambda uow: workers.resume_worker(uow, call.path("id"), outside, gpu=command.gpu)
        )
    )


@OPERATIONS.on(
    "DELETE",
    "/workers/{id}",
    "removeWorker",
    {204: Answer("The worker is forgotten.")},
    problems=(*_PROBLEMS, "WORKER_BUSY"),
)
async def remove_worker(call: Call) -> Response:
    """Forget a worker that holds nothing, or that is lost."""
    outside = call.server.outside
    await call.server.store.write(lambda uow: workers.remove_worker(uow, call.path("id"), outside))
    return Response(status_code=204)

"""The routes that workers speak: register, heartbeat, claim, report, release.

A claim is a long poll: it is answered the moment the dispatcher assigns something to the worker or
a run it holds is to be cancelled, after the wait it asked for, or when the server stops; an empty
answer means "ask again".
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gyoza.server.api.access import Access
from gyoza.server.api.lifelines import Lifeline
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.use_cases import reports, workers
from gyoza.wire.messages import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAnswer,
    Register,
    Registered,
    Release,
    Report,
    Reported,
)

OPERATIONS: Final = Operations("worker protocol", Access.WORKER)
MAX_WAIT_S: Final = 25.0
_POLL_S: Final = 5.0
_PROBLEMS: Final = ("WORKER_NOT_FOUND", "SESSION_SUPERSEDED")


@OPERATIONS.on(
    "POST",
    "/workers",
    "registerWorker",
    {200: Answer("The worker is known; what to do with its containers.", Registered)},
    body=Register,
    problems=("INVALID_INPUT", "SESSION_SUPERSEDED"),
)
async def register_worker(call: Call) -> Response:
    """Present a worker and what it found on its host."""
    command = await call.message(Register)
    outside = call.server.outside
    return json_answer(
        await call.server.store.write(lambda uow: workers.register_worker(uow, command, outside))
    )


@OPERATIONS.on(
    "POST",
    "/workers/{id}/heartbeat",
    "heartbeat",
    {200: Answer("What the server wants of the worker.", HeartbeatAnswer)},
    body=Heartbeat,
    problems=_PROBLEMS,
)
async def heartbeat(call: Call) -> Response:
    """Give a sign of life and renew the leases of what is held."""
    command = await call.message(Heartbeat)
    outside = call.server.outside
    return json_answer(
        await call.server.store.write(
            lambda uow: workers.heartbeat(uow, call.path("id"), command, outside)
        )
    )


@OPERATIONS.on(
    "POST",
    "/workers/{id}/claims",
    "claim",
    {200: Answer("Assignments; none when the wait passed.", Claimed)},
    body=Claim,
    problems=_PROBLEMS,
)
async def claim(call: Call) -> Response:
    """Ask for assignments, and wait for some."""
    command = await call.message(Claim)
    server, worker_id = call.server, call.path("id")
    deadline = server.clock.monotonic() + min(command.wait_s, MAX_WAIT_S)
    async with (
        server.store.wakeups.subscribe(f"worker:{worker_id}") as waiter,
        Lifeline(call.request.receive, server.stopping) as lifeline,
    ):
        while True:
            claimed = await server.store.write(
                lambda uow: workers.claim(uow, worker_id, command, server.outside)
            )
            left_s = deadline - server.clock.monotonic()
            if claimed.assignments or claimed.cancel or left_s <= 0:
                return json_answer(claimed)
            if not await lifeline.wait(waiter, min(left_s, _POLL_S)):
                # Nobody may be there to read the answer, so nothing is taken for it any more.
                return json_answer(claimed)


@OPERATIONS.on(
    "POST",
    "/workers/{id}/reports",
    "report",
    {200: Answer("What became of each item.", Reported)},
    body=Report,
    problems=_PROBLEMS,
)
async def report(call: Call) -> Response:
    """Report phases, events, logs and results of everything the worker holds."""
    command = await call.message(Report)
    outside = call.server.outside
    return json_answer(
        await call.server.store.write(
            lambda uow: reports.report(uow, call.path("id"), command, outside)
        )
    )


@OPERATIONS.on(
    "POST",
    "/workers/{id}/releases",
    "release",
    {200: Answer("What became of each item.", Reported)},
    body=Release,
    problems=_PROBLEMS,
)
async def release(call: Call) -> Response:
    """Give assignments back that were not started."""
    command = await call.message(Release)
    outside = call.server.outside
    return json_answer(
        await call.server.store.write(
            lambda uow: workers.release(uow, call.path("id"), command, outside)
        )
    )

"""Routes that change many runs at once, by what they have in common."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.use_cases import bulk
from gyoza.wire.messages import BulkAnswer, CancelRuns, RetryRuns

OPERATIONS: Final = Operations("runs")
_PORTION: Final = Answer("What became of this portion, and the token of the next.", BulkAnswer)


@OPERATIONS.on(
    "POST",
    "/runs:cancel",
    "cancelRuns",
    {200: _PORTION},
    body=CancelRuns,
    problems=("INVALID_INPUT",),
)
async def cancel_runs(call: Call) -> Response:
    """Cancel the runs that match, 200 a request: ask again with the token until it is empty."""
    command = await call.message(CancelRuns)
    answer = await call.server.store.write(lambda uow: bulk.cancel_runs(uow, command))
    return json_answer(msgspec.to_builtins(answer))


@OPERATIONS.on(
    "POST",
    "/runs:retry",
    "retryRuns",
    {200: _PORTION},
    body=RetryRuns,
    problems=("INVALID_INPUT",),
)
async def retry_runs(call: Call) -> Response:
    """Retry the runs that match, 200 a request: ask again with the token until it is empty."""
    command = await call.message(RetryRuns)
    answer = await call.server.store.write(lambda uow: bulk.retry_runs(uow, command))
    return json_answer(msgspec.to_builtins(answer))

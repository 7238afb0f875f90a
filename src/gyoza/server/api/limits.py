"""Routes of what holds runs back on purpose: limits of ops, and quotas of owners.

An op's limits have an address of their own below `/definitions/{id}`: a definition is a version,
which never changes, and neither a deploy nor a rollback may undo what an operator has set.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gyoza.server.api.documents import LimitsPage
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.api.queries import QuotaQuery
from gyoza.server.use_cases import op_limits, quotas
from gyoza.wire.messages import LimitsView, PatchLimits, PutQuota, QuotasView, QuotaView

OPERATIONS: Final = Operations("limits")
_LIMITS: Final = {200: Answer("The op's limits.", LimitsView)}


@OPERATIONS.on(
    "GET", "/limits", "listLimits", {200: Answer("The ops that have limits.", LimitsPage)}
)
async def list_limits(call: Call) -> Response:
    """List the ops that are paused or limited, and how many of each are at work."""
    found = await call.server.store.read(op_limits.list_limits)
    return json_answer({"items": found, "next_page_token": ""})


@OPERATIONS.on("GET", "/definitions/{id}/limits", "getLimits", _LIMITS, problems=("OP_NOT_FOUND",))
async def get_limits(call: Call) -> Response:
    """Show what holds an op's runs back."""
    return json_answer(
        await call.server.store.read(lambda uow: op_limits.get_limits(uow, call.path("id")))
    )


@OPERATIONS.on(
    "PATCH",
    "/definitions/{id}/limits",
    "changeLimits",
    _LIMITS,
    body=PatchLimits,
    problems=("OP_NOT_FOUND", "INVALID_INPUT"),
)
async def change_limits(call: Call) -> Response:
    """Pause, resume or limit an op; what is at work goes on."""
    command = await call.message(PatchLimits)
    return json_answer(
        await call.server.store.write(
            lambda uow: op_limits.change_limits(uow, call.path("id"), command)
        )
    )


@OPERATIONS.on("GET", "/quotas", "listQuotas", {200: Answer("All quotas.", QuotasView)})
async def list_quotas(call: Call) -> Response:
    """List the quotas that owners have of their own, and those of all others."""
    settings = call.server.settings
    return json_answer(await call.server.store.read(lambda uow: quotas.list_quotas(uow, settings)))


@OPERATIONS.on(
    "PUT",
    "/quotas",
    "putQuota",
    {200: Answer("The owner's quota.", QuotaView)},
    body=PutQuota,
    problems=("INVALID_INPUT",),
)
async def put_quota(call: Call) -> Response:
    """Give an owner a quota of its own instead of any that it had."""
    command, settings = await call.message(PutQuota), call.server.settings
    return json_answer(
        await call.server.store.write(lambda uow: quotas.put_quota(uow, command, settings))
    )


@OPERATIONS.on(
    "DELETE",
    "/quotas",
    "removeQuota",
    {204: Answer("The owner has the server's defaults.")},
    query=QuotaQuery,
    problems=("QUOTA_NOT_FOUND",),
)
async def remove_quota(call: Call) -> Response:
    """Leave an owner to the server's defaults."""
    owner = call.query(QuotaQuery).owner
    await call.server.store.write(lambda uow: quotas.remove_quota(uow, owner))
    return Response(status_code=204)

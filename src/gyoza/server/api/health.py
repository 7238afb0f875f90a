"""`/healthz` (the process answers) and `/readyz` (it can serve), for whoever keeps servers running.

Neither wants a key, so neither says more than what a stranger may know.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gyoza.server.api.access import Access
from gyoza.server.api.documents import Health, Readiness
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.errors import StoreUnavailable
from gyoza.server.use_cases.patience import suspension

OPERATIONS: Final = Operations("health", Access.PUBLIC, prefix="")
_DISPATCHER_STUCK_S: Final = 15.0
_OK: Final = "ok"


@OPERATIONS.on("GET", "/healthz", "health", {200: Answer("The process answers.", Health)})
async def health(call: Call) -> Response:
    """Say that the process answers; it does not look at anything else."""
    return json_answer(Health(status="ok", version=call.server.version))


@OPERATIONS.on(
    "GET",
    "/readyz",
    "readiness",
    {200: Answer("Ready.", Readiness), 503: Answer("Not ready, and why.", Readiness)},
)
async def readiness(call: Call) -> Response:
    """Say whether requests can be served: the store, the dispatcher, no shutdown under way."""
    checks = {
        "store": await _store(call),
        "dispatcher": _dispatcher(call.server.dispatcher_age_s()),
        "server": "shutting down" if call.server.stopping.begun else _OK,
    }
    ready = all(check == _OK for check in checks.values())
    document = Readiness(
        status="ready" if ready else "not ready", checks=checks, notes=await _notes(call)
    )
    return json_answer(document, 200 if ready else 503)


async def _store(call: Call) -> str:
    try:
        await call.server.store.check()
    except StoreUnavailable:
        return "not available; the log says why"
    return _OK


async def _notes(call: Call) -> list[str]:
    try:
        note = await call.server.store.read(suspension)
    except StoreUnavailable:
        return []
    return [note] if note else []


def _dispatcher(age_s: float | None) -> str:
    if age_s is None:
        return "has not started"
    return _OK if age_s < _DISPATCHER_STUCK_S else f"has not ticked for {age_s:.0f} s"

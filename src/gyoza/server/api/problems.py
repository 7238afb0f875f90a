"""Every refusal as an RFC 9457 problem document: one table from error code to HTTP status.

This is the only place that knows statuses of errors. A refusal that is not in the table is a
mistake of ours and answered as `INTERNAL`, without its text: that belongs into the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gyoza.server.errors import ServerError
from gyoza.wire import strict_json
from gyoza.wire.messages import Fault, Problem

MEDIA_TYPE: Final = "application/problem+json"

STATUSES: Final[Mapping[str, int]] = {
    "INVALID_JSON": 422,
    "INVALID_INPUT": 422,
    "INVALID_REQUEST": 422,
    "HASH_MISMATCH": 422,
    "IDEMPOTENCY_MISMATCH": 422,
    "BODY_TOO_LARGE": 413,
    "NOT_AUTHENTICATED": 401,
    "NOT_ALLOWED": 403,
    "HOST_NOT_ALLOWED": 421,
    "NOT_FOUND": 404,
    "OP_NOT_FOUND": 404,
    "VERSION_NOT_FOUND": 404,
    "RUN_NOT_FOUND": 404,
    "WORKER_NOT_FOUND": 404,
    "ARTIFACT_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "AMBIGUOUS_ID": 409,
    "VERSION_CONFLICT": 409,
    "NO_EARLIER_VERSION": 409,
    "RUN_ENDED": 409,
    "RUN_NOT_ENDED": 409,
    "RUN_COMPLETED": 409,
    "RUN_HELD": 409,
    "OP_ARCHIVED": 409,
    "WORKER_BUSY": 409,
    "SESSION_SUPERSEDED": 409,
    "UPLOAD_OFFSET": 409,
    "UPLOAD_BUSY": 409,
    "QUOTA_NOT_FOUND": 404,
    "QUOTA_EXCEEDED": 429,
    "INTERNAL": 500,
    "STORE_UNAVAILABLE": 503,
    "SHUTTING_DOWN": 503,
}

_PATH_CHARS: Final = "/:@!$&'()*+,;=~"  # what RFC 3986 leaves unquoted in a path
_RETRY_AFTER_S: Final = "1"
_MAX_FAULTS: Final = 100

_log = structlog.stdlib.get_logger("gyoza.server.api")


def problem(
    code: str,
    title: str,
    detail: str,
    *,
    request_id: str = "",
    instance: str = "",
    faults: Sequence[Fault] = (),
) -> Problem:
    """Make the document of a refusal.

    Args:
        code: One of `STATUSES`.
        title: The kind of problem in a few words.
        detail: This problem: what, with which value, what was expected, what to do.
        request_id: Of the request; "" when the problem is part of a larger answer.
        instance: Decoded path of the request, "" when the problem is part of a larger answer.
        faults: What is wrong and where; at most 100 are shown, `detail` speaks of all.
    """
    return Problem(
        type=f"/problems/{code.lower().replace('_', '-')}",
        title=title,
        status=STATUSES[code],
        detail=_without_nul(detail),
        code=code,
        request_id=request_id,
        instance=quote(instance, safe=_PATH_CHARS),
        errors=[
            Fault(pointer=_without_nul(each.pointer), message=_without_nul(each.message))
            for each in faults[:_MAX_FAULTS]
        ],
    )


def of_error(error: ServerError, *, request_id: str = "", instance: str = "") -> Problem:
    """Make the document of an error that the server raised on purpose."""
    return problem(
        error.code,
        error.title,
        str(error),
        request_id=request_id,
        instance=instance,
        faults=error.faults,
    )


def internal(request_id: str, instance: str) -> Problem:
    """Make the document of a mistake of ours; the log has the rest under the request id."""
    detail = f"something went wrong here, not in your request; the log names {request_id}"
    title = ServerError.title
    return problem("INTERNAL", title, detail, request_id=request_id, instance=instance)


def answer(document: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Render a problem document.

    A body may be unread when the request is refused early, so the connection is not used again
    after 413: what follows on it would be the rest of that body.
    """
    sent = dict(headers or {})
    if document.status == STATUSES["STORE_UNAVAILABLE"]:
        sent["Retry-After"] = _RETRY_AFTER_S
    if document.status == STATUSES["BODY_TOO_LARGE"]:
        sent["Connection"] = "close"
    if document.status == STATUSES["NOT_AUTHENTICATED"]:
        sent["WWW-Authenticate"] = 'ApiKey header="X-API-Key"'
    body = strict_json.dumps(msgspec.to_builtins(document))
    return Response(body, document.status, sent, MEDIA_TYPE)


async def on_server_error(request: Request, error: Exception) -> Response:
    """Answer what the server refused on purpose."""
    if not isinstance(error, ServerError) or error.code not in STATUSES:
        raise error
    document = of_error(error, request_id=request_id_of(request), instance=request.url.path)
    if document.status >= STATUSES["INTERNAL"]:
        _log.warning("refused", code=error.code, detail=str(error), path=request.url.path)
    return answer(document)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what routing refused: an unknown path."""
    if not isinstance(error, HTTPException):
        raise error
    path = request.url.path
    detail = f"nothing is at {path}; /api/v1/openapi.json lists every path"
    request_id = request_id_of(request)
    document = problem("NOT_FOUND", "No such path", detail, request_id=request_id, instance=path)
    return answer(document)


async def on_wrong_method(request: Request, methods: Sequence[str]) -> Response:
    """Answer a method that the path does not have; `methods` are those it has."""
    path, allowed = request.url.path, ", ".join(methods)
    document = problem(
        "METHOD_NOT_ALLOWED",
        "The path does not take this method",
        f"{path} takes {allowed}, not {request.method}",
        request_id=request_id_of(request),
        instance=path,
    )
    return answer(document, {"Allow": allowed})


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """Give up on a request whose sender is gone; nobody reads this answer."""
    return Response(status_code=499)


def request_id_of(request: Request) -> str:
    """Return the id that `entrance` gave the request."""
    return request.scope["state"]["request_id"]


def _without_nul(text: str) -> str:
    # Addresses may hold it and our JSON may not; a refusal that quotes one has to get out.
    return text.replace("\0", "\\0")


HANDLERS: Final = {
    ServerError: on_server_error,
    HTTPException: on_http_error,
    ClientDisconnect: on_disconnect,
}

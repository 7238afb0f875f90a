"""From an HTTP answer to a value or to the error it stands for: pure, strict, one table.

Every JSON document that a server sends passes through the strict parser here. What is no document
of ours (a proxy's error page, another program on the port) becomes an error that says so.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import msgspec

from gyoza.client._effects import Answer
from gyoza.client.errors import (
    BadRequest,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    QuotaExceeded,
    RateLimited,
    ResponseError,
    ServerFault,
    ServerUnavailable,
)
from gyoza.models import OpDefinition, OpRun
from gyoza.wire import strict_json
from gyoza.wire.messages import JsonObject, Page, Problem, convert

M = TypeVar("M", bound=msgspec.Struct)

_BY_STATUS: Final[dict[int, type[ResponseError]]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    421: NotAllowed,
    422: InvalidInput,
    429: RateLimited,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}
# Of several that share a status.
_BY_CODE: Final[dict[str, type[ResponseError]]] = {"QUOTA_EXCEEDED": QuotaExceeded}
_SUCCESS: Final = 2  # the first digit of 2xx (RFC 9110 section 15)
_FAULT: Final = 5
_SHOWN_CHARS: Final = 200


def check(answer: Answer) -> Answer:
    """Return the answer if it says yes.

    Raises:
        ResponseError: It says no.
    """
    if answer.status // 100 == _SUCCESS:
        return answer
    raise error_of(answer)


def error_of(answer: Answer) -> ResponseError:
    """Return the error that an answer stands for."""
    problem = _problem(answer)
    kind = _BY_STATUS.get(
        answer.status, ServerFault if answer.status // 100 == _FAULT else BadRequest
    )
    if problem is None:
        return kind(_foreign(answer), status=answer.status, request_id=_request_id(answer))
    return _BY_CODE.get(problem.code, kind)(
        problem.detail or problem.title,
        status=answer.status,
        code=problem.code,
        request_id=problem.request_id or _request_id(answer),
        title=problem.title,
        faults=tuple(problem.errors),
        retry_after_s=_retry_after(answer),
    )


def document(answer: Answer) -> JsonObject:
    """Read a JSON object.

    Raises:
        ServerFault: The answer is not one.
    """
    try:
        value: Any = strict_json.loads(answer.body)
    except strict_json.StrictJsonError as error:
        raise unreadable(answer, str(error)) from error
    if not isinstance(value, dict):
        raise unreadable(answer, f"a {type(value).__name__} instead of an object")
    return cast("JsonObject", value)


def message(answer: Answer, kind: type[M]) -> M:
    """Read a message of the wire.

    Raises:
        ServerFault: The answer is not one.
    """
    try:
        return convert(document(answer), kind)
    except strict_json.StrictJsonError as error:
        raise unreadable(answer, f"{error} at {error.pointer or '/'}") from error


def page(answer: Answer) -> Page:
    """Read a page of a list.

    Raises:
        ServerFault: The answer is not one.
    """
    return message(answer, Page)


def run(answer: Answer) -> OpRun:
    """Read a run.

    Raises:
        ServerFault: The answer is not one.
    """
    try:
        return OpRun.from_dict(document(answer))
    except ValueError as error:
        raise unreadable(answer, str(error)) from error


def definition(answer: Answer) -> OpDefinition:
    """Read an op definition.

    Raises:
        ServerFault: The answer is not one.
    """
    try:
        return OpDefinition.from_dict(document(answer))
    except ValueError as error:
        raise unreadable(answer, str(error)) from error


def unreadable(answer: Answer, why: str) -> ServerFault:
    """Return the error for an answer that says yes in words that are not ours."""
    return ServerFault(
        f"the answer cannot be read: {why[:_SHOWN_CHARS]}",
        status=answer.status,
        request_id=_request_id(answer),
    )


def _problem(answer: Answer) -> Problem | None:
    try:
        return convert(strict_json.loads(answer.body), Problem)
    except strict_json.StrictJsonError:
        return None


def _request_id(answer: Answer) -> str:
    return answer.headers.get("x-request-id", "")


def _retry_after(answer: Answer) -> float | None:
    # The other form, a date (RFC 9110 section 10.2.3), is not sent by gyoza.
    given = answer.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() else None


def _foreign(answer: Answer) -> str:
    text = " ".join(answer.body.decode("utf-8", "replace").split())[:_SHOWN_CHARS]
    return f"HTTP {answer.status}, not in the words of a gyoza server: {text or '(empty)'}"

"""Reading request bodies: counted while they arrive, parsed strictly, checked against a message.

No route reads a body any other way. A body over the limit is refused before it has been read, and
a compressed one always, since its size on arrival says nothing about its size in memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from gyoza.server.errors import BodyTooLarge, InvalidJson, InvalidRequest
from gyoza.wire import messages, strict_json
from gyoza.wire.messages import Fault

M = TypeVar("M", bound=msgspec.Struct)


async def read_message(
    request: Request, kind: type[M], max_bytes: int, *, optional: bool = False
) -> M:
    """Read a JSON body as a message.

    Args:
        request: Its body is unread.
        kind: The message.
        max_bytes: Longest body.
        optional: Take an absent body for `{}`.

    Raises:
        BodyTooLarge: More than `max_bytes`, by its Content-Length or as it arrives.
        InvalidJson: Not JSON that the strict parser accepts.
        InvalidRequest: JSON, but not this message; or a compressed body.
    """
    content = await read_bytes(request, max_bytes)
    if optional and not content:
        return messages.convert({}, kind)
    return check(parse(content), kind)


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """Read a whole body of at most `max_bytes`.

    Raises:
        BodyTooLarge: More than that.
        InvalidRequest: The body is compressed.
    """
    async with aclosing(stream(request, max_bytes)) as arriving:
        return b"".join([part async for part in arriving])


async def stream(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield a body of at most `max_bytes` as it arrives.

    Raises:
        BodyTooLarge: At once when the Content-Length says so, else at the first byte too many.
        InvalidRequest: The body is compressed.
    """
    _refuse_unreadable(request, max_bytes)
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise BodyTooLarge(max_bytes)
        if part:
            yield part


def parse(content: bytes) -> Any:
    """Parse JSON strictly.

    Raises:
        InvalidJson: With a pointer to the place where one can be named.
    """
    try:
        return strict_json.loads(content)
    except strict_json.StrictJsonError as error:
        refusal = InvalidJson(str(error))
        refusal.faults = (Fault(pointer=error.pointer, message=str(error)),)
        raise refusal from None


def check(value: Any, kind: type[M]) -> M:
    """Check a parsed value against a message type.

    Raises:
        InvalidRequest: With a pointer to the first member that does not fit.
    """
    try:
        return messages.convert(value, kind)
    except strict_json.StrictJsonError as error:
        raise InvalidRequest([Fault(pointer=error.pointer, message=str(error))]) from None


def _refuse_unreadable(request: Request, max_bytes: int) -> None:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        fault = Fault(pointer="", message=f"Content-Encoding {encoding!r}: send it uncompressed")
        raise InvalidRequest([fault])
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise BodyTooLarge(max_bytes)

"""One declaration per operation: path, id, who may use it, what it takes and what it answers.

A router module declares its operations with `Operations`; `app` mounts them and `openapi` describes
them from the same declaration, so an operation cannot be undocumented or open by oversight. The
handler takes a `Call` and returns finished bytes: FastAPI's parameter machinery costs more than
a submit's whole transaction may, and its body parser is not our strict one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gyoza.server.api import bodies, queries
from gyoza.server.api.access import Access
from gyoza.server.api.context import ServerContext
from gyoza.server.api.queries import NoQuery, Query
from gyoza.server.errors import InvalidRequest
from gyoza.server.use_cases.idempotency import IdempotencyKey, hash_of
from gyoza.wire import strict_json
from gyoza.wire.messages import Fault

PREFIX: Final = "/api/v1"
JSON: Final = "application/json"
_MAX_KEY_CHARS: Final = 255

M = TypeVar("M", bound=msgspec.Struct)
Q = TypeVar("Q", bound=Query)


@dataclass(frozen=True, slots=True)
class Answer:
    """One way an operation answers.

    Attributes:
        description: In a few words.
        document: Describes the JSON body; None when there is none.
        media_types: Other forms the same answer comes in, by content negotiation.
    """

    description: str
    document: type[msgspec.Struct] | None = None
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the HTTP API.

    Attributes:
        method: HTTP verb.
        path: With the prefix, parameters in braces.
        id: Stable operation id, the name that generated clients give it.
        tag: The resource it belongs to.
        access: Who may use it.
        handler: Carries it out.
        answers: By status.
        body: Message that a JSON body has to be; None takes no JSON body.
        body_optional: Whether no body means `{}`.
        uploads: Whether the body is a file.
        query: Parameters in the query string.
        problems: Codes it may refuse with, beside those that any operation has.
        idempotent: Whether `Idempotency-Key` is understood.
    """

    method: str
    path: str
    id: str
    tag: str
    access: Access
    handler: Handler
    answers: Mapping[int, Answer]
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    uploads: bool = False
    query: type[Query] = NoQuery
    problems: tuple[str, ...] = ()
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one operation, with everything its handler may use."""

    request: Request
    server: ServerContext
    operation: Operation

    def path(self, name: str) -> str:
        """Return a parameter of the path."""
        return self.request.path_params[name]

    def query(self, kind: type[Q]) -> Q:
        """Return the checked query string.

        Raises:
            InvalidRequest: An unknown parameter or a wrong value.
        """
        return queries.parse(self.request.query_params, kind)

    async def message(self, kind: type[M]) -> M:
        """Read the body as the operation's message.

        Raises:
            BodyTooLarge, InvalidJson, InvalidRequest: As `bodies.read_message`.
        """
        limit = self.server.settings.max_body_bytes
        optional = self.operation.body_optional
        return await bodies.read_message(self.request, kind, limit, optional=optional)

    def accepts(self, media_type: str) -> bool:
        """Whether the Accept header names this media type."""
        return media_type in self.request.headers.get("accept", "")

    def idempotency_key(self, message: msgspec.Struct) -> IdempotencyKey | None:
        """Return what makes this request the same as an earlier one; None without the header.

        The body counts by its meaning, so that white space and defaults written out do not matter.

        Raises:
            InvalidRequest: The key is empty or too long.
        """
        key = self.request.headers.get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= _MAX_KEY_CHARS:
            fault = f"{len(key)} characters, expected 1 to {_MAX_KEY_CHARS}"
            raise InvalidRequest([Fault(pointer="Idempotency-Key", message=fault)])
        meaning = strict_json.dumps(msgspec.to_builtins(message, order="sorted"))
        request_hash = hash_of(self.request.url.path.encode(), meaning)
        return IdempotencyKey(self.operation.id, key, request_hash)


Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


class Operations:
    """Collects the operations of one resource.

    Args:
        tag: Name of the resource in OpenAPI.
        access: Who may use its operations, unless one says otherwise.
        prefix: Goes before every path.
    """

    def __init__(self, tag: str, access: Access = Access.CALLER, prefix: str = PREFIX) -> None:
        self._tag = tag
        self._access = access
        self._prefix = prefix
        self.all: list[Operation] = []

    def on(
        self,
        method: str,
        path: str,
        operation_id: str,
        answers: Mapping[int, Answer],
        *,
        access: Access | None = None,
        **more: Any,
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated handler as an operation; `more` are members of `Operation`."""

        def declare(handler: Handler) -> Handler:
            self.all.append(
                Operation(
                    method=method,
                    path=self._prefix + path,
                    id=operation_id,
                    tag=self._tag,
                    access=access or self._access,
                    handler=handler,
                    answers=answers,
                    **more,
                )
            )
            return handler

        return declare


def json_answer(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Render a JSON document, or a message, as an answer."""
    plain = msgspec.to_builtins(document) if isinstance(document, msgspec.Struct) else document
    return Response(strict_json.dumps(plain), status, headers, JSON)

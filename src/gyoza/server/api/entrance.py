"""What every request passes first: its id, the host check, the log line, the last resort.

The outermost layer, so that whatever goes wrong further in is answered as a problem document with
a request id, and that id stands beside the trace in the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import perf_counter
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gyoza.server.api import problems
from gyoza.server.api.access import AllowedHosts
from gyoza.server.api.lifelines import Stopping
from gyoza.server.errors import ServerError, ShuttingDown

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEALTH: Final = frozenset({"/healthz", "/readyz"})
_log = structlog.stdlib.get_logger("gyoza.server.api")


class Entrance:
    """ASGI middleware around the whole API.

    Args:
        app: What comes behind.
        hosts: The names the server answers to; None when keys make the check needless.
        stopping: New requests are refused once it has begun, except for health.
        new_request_id: Makes an id for a request that brings none.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: AllowedHosts | None,
        stopping: Stopping,
        new_request_id: Callable[[], str],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._stopping = stopping
        self._new_request_id = new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; other kinds of connection (the lifespan) go through untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        started, sending = perf_counter(), Sending(send, request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._pass_on(scope, receive, sending)
            finally:
                _log.debug(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=sending.status,
                    ms=round((perf_counter() - started) * 1000, 2),
                )

    async def _pass_on(self, scope: Scope, receive: Receive, sending: Sending) -> None:
        request_id = scope["state"]["request_id"]
        try:
            self._refuse_strangers(scope)
            await self._app(scope, receive, sending)
        except ServerError as error:
            document = problems.of_error(error, request_id=request_id, instance=scope["path"])
            await problems.answer(document)(scope, receive, sending)
        except Exception:
            _log.exception("failed", method=scope["method"], path=scope["path"])
            if sending.status is not None:
                raise  # half an answer is out; closing the connection is all that is left
            document = problems.internal(request_id, scope["path"])
            await problems.answer(document)(scope, receive, sending)

    def _refuse_strangers(self, scope: Scope) -> None:
        if self._hosts is not None:
            self._hosts.admit(Headers(scope=scope))
        if self._stopping.begun and scope["path"] not in _HEALTH:
            raise ShuttingDown("the server is about to end; try again in a moment")

    def _request_id(self, headers: Headers) -> str:
        sent = headers.get("x-request-id", "")
        return sent if _REQUEST_ID.fullmatch(sent) else self._new_request_id()


class Sending:
    """The way out: adds the headers that every answer has, and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        """Send one message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message["headers"])
            headers["X-Request-ID"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
        await self._send(message)

"""From a client in one thread to an ASGI application in another's event loop, without sockets."""

from __future__ import annotations

import asyncio
from typing import Any, final

import httpx2


@final
class LoopTransport(httpx2.BaseTransport):
    """Carries requests into an event loop and whole answers back; streams arrive at their end.

    Args:
        app: The application.
        loop: Where it lives; another thread's.
    """

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = in_loop_transport(app)
        self._loop = loop

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """See `BaseTransport.handle_request`."""
        request.read()
        return asyncio.run_coroutine_threadsafe(self._answered(request), self._loop).result()

    async def _answered(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])
        return httpx2.Response(answer.status_code, headers=answer.headers, content=content)


def in_loop_transport(app: Any) -> httpx2.AsyncBaseTransport:
    """Return what carries requests to an application in the caller's own event loop."""
    return httpx2.ASGITransport(app=app)

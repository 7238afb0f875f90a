"""Carrying out what flows ask for, with httpx2: once for threads, once for tasks.

The only module of the client that does I/O, sleeps or reads a clock. The two drivers differ in
colour only; everything that decides is in the flows.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import httpx2

from gyoza import __version__
from gyoza.client._disk import Disk
from gyoza.client._effects import (
    Answer,
    Download,
    Effect,
    Emit,
    FileFacts,
    Flow,
    HashFile,
    NextChunk,
    Now,
    Open,
    Request,
    Send,
    Sleep,
    Spool,
    Spooled,
    Stepper,
)
from gyoza.client.errors import ConnectFailed, ConnectionLost, GyozaError, RequestError, TimedOut
from gyoza.client.settings import ClientSettings

T = TypeVar("T")
_PIECE: Final = 256 * 1024
_OK: Final = 200


class SyncDriver:
    """Runs flows in the calling thread; may be shared by threads.

    Args:
        settings: Where the server is.
        transport: What carries requests instead of sockets, such as `httpx2.MockTransport`.
    """

    def __init__(
        self, settings: ClientSettings, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._client = httpx2.Client(**_options(settings), transport=transport)

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow out and return what it returns; what it emits is dropped."""
        talk = _Talk(self._client)
        step = Stepper(flow)
        try:
            while (effect := step.next_effect()) is not None:
                step.answer(talk.outcome(effect))
            return step.result
        finally:
            talk.close()
            step.close()

    def iterate(self, flow: Flow[None]) -> Iterator[Any]:
        """Carry a flow out and yield what it emits."""
        talk = _Talk(self._client)
        step = Stepper(flow)
        try:
            while (effect := step.next_effect()) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                step.answer(talk.outcome(effect))
        finally:
            talk.close()
            step.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncDriver:
    """Runs flows in the calling task; may be shared by tasks of one loop.

    Args:
        settings: Where the server is.
        transport: What carries requests instead of sockets, such as `httpx2.MockTransport`.
    """

    def __init__(
        self, settings: ClientSettings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx2.AsyncClient(**_options(settings), transport=transport)

    async def run(self, flow: Flow[T]) -> T:
        """Carry a flow out and return what it returns; what it emits is dropped."""
        talk = _AsyncTalk(self._client)
        step = Stepper(flow)
        try:
            while (effect := step.next_effect()) is not None:
                step.answer(await talk.outcome(effect))
            return step.result
        finally:
            await talk.close()
            step.close()

    async def iterate(self, flow: Flow[None]) -> AsyncIterator[Any]:
        """Carry a flow out and yield what it emits."""
        talk = _AsyncTalk(self._client)
        step = Stepper(flow)
        try:
            while (effect := step.next_effect()) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                step.answer(await talk.outcome(effect))
        finally:
            await talk.close()
            step.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _Talk:
    """One flow's conversation: at most one open stream."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._disk = Disk()
        self._response: httpx2.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._actions: dict[type[Effect], Callable[[Any], Any]] = {
            Send: self._send,
            Open: self._open,
            NextChunk: self._next_chunk,
            Download: self._download,
            HashFile: lambda effect: _hash(effect.path),
            Spool: lambda effect: self._disk.spool(effect.source),
            Sleep: lambda effect: time.sleep(effect.seconds),
            Now: lambda _: time.monotonic(),
            Emit: lambda _: None,
        }

    def outcome(self, effect: Effect) -> Any:
        """Carry out an effect; a GyozaError is returned, for the flow to decide about."""
        try:
            return self._actions[type(effect)](effect)
        except GyozaError as error:
            return error
        except httpx2.TransportError as error:
            return _as_ours(error, self._client.base_url)

    def close(self) -> None:
        """Close the stream and remove what is only half here."""
        self._disk.clear()
        self._close_stream()

    def _close_stream(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _send(self, effect: Send) -> Answer:
        return _answer(
            self._client.send(_built(self._client, effect.request, _body(effect.request)))
        )

    def _next_chunk(self, _: NextChunk) -> bytes | None:
        return next(self._chunks, None)

    def _open(self, effect: Open) -> Answer:
        self._close_stream()
        request = _built(self._client, effect.request, _body(effect.request), effect.silence_s)
        self._response = self._client.send(request, stream=True)
        if self._response.status_code != _OK:
            self._response.read()
            return _answer(self._response)
        self._chunks = self._response.iter_bytes()
        return _head(self._response)

    def _download(self, effect: Download) -> Answer:
        file = self._disk.arriving(effect.path, effect.sha256)
        request = _built(self._client, effect.request, None)
        request.headers.update(file.range)
        response = self._client.send(request, stream=True)
        try:
            if not file.takes(response.status_code):
                response.read()
                return _answer(response)
            with file.open(response.status_code):
                for piece in response.iter_bytes():  # as they come: a broken one loses none
                    file.write(piece)
            file.finish()
            return Answer(_OK)
        finally:
            response.close()


class _AsyncTalk:
    """One flow's conversation: at most one open stream."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._disk = Disk()
        self._response: httpx2.Response | None = None
        self._chunks: AsyncIterator[bytes] = _no_chunks()
        self._actions: dict[type[Effect], Callable[[Any], Awaitable[Any]]] = {
            Send: self._send,
            Open: self._open,
            NextChunk: self._next_chunk,
            Download: self._download,
            HashFile: self._hash,
            Spool: self._spool,
            Sleep: self._sleep,
            Now: self._now,
            Emit: self._emitted,
        }

    async def outcome(self, effect: Effect) -> Any:
        """Carry out an effect; a GyozaError is returned, for the flow to decide about."""
        try:
            return await self._actions[type(effect)](effect)
        except GyozaError as error:
            return error
        except httpx2.TransportError as error:
            return _as_ours(error, self._client.base_url)

    async def close(self) -> None:
        """Close the stream, also while the task is being cancelled; remove what is half here."""
        self._disk.clear()
        await self._close_stream()

    async def _close_stream(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _send(self, effect: Send) -> Answer:
        body = _async_body(effect.request)
        return _answer(await self._client.send(_built(self._client, effect.request, body)))

    async def _next_chunk(self, _: NextChunk) -> bytes | None:
        return await anext(self._chunks, None)

    async def _hash(self, effect: HashFile) -> FileFacts:
        return await anyio.to_thread.run_sync(_hash, effect.path)

    async def _sleep(self, effect: Sleep) -> None:
        await anyio.sleep(effect.seconds)

    async def _now(self, _: Now) -> float:
        return time.monotonic()

    async def _emitted(self, _: Emit) -> None:
        """Whoever iterates has taken it already."""

    async def _open(self, effect: Open) -> Answer:
        await self._close_stream()
        body = _async_body(effect.request)
        request = _built(self._client, effect.request, body, effect.silence_s)
        self._response = await self._client.send(request, stream=True)
        if self._response.status_code != _OK:
            await self._response.aread()
            return _answer(self._response)
        self._chunks = self._response.aiter_bytes()
        return _head(self._response)

    async def _download(self, effect: Download) -> Answer:
        file = self._disk.arriving(effect.path, effect.sha256)
        request = _built(self._client, effect.request, None)
        request.headers.update(file.range)
        response = await self._client.send(request, stream=True)
        try:
            if not file.takes(response.status_code):
                await response.aread()
                return _answer(response)
            with file.open(response.status_code):
                async for piece in response.aiter_bytes():
                    await anyio.to_thread.run_sync(file.write, piece)
            file.finish()
            return Answer(_OK)
        finally:
            await response.aclose()

    async def _spool(self, effect: Spool) -> Spooled:
        return await anyio.to_thread.run_sync(self._disk.spool, effect.source)


def _options(settings: ClientSettings) -> dict[str, Any]:
    headers = {"User-Agent": f"gyoza/{__version__}"}
    if settings.api_key is not None:
        headers["X-API-Key"] = settings.api_key
    return {
        "base_url": settings.base_url,
        "headers": headers,
        "timeout": settings.timeout_s,
        # Loading the system's certificates takes longer than a local call; without TLS none are
        # needed. Redirects are not followed, so no https can come of http.
        "verify": settings.base_url.startswith("https:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        "trust_env": not settings.is_loopback,
    }


def _built(
    client: httpx2.Client | httpx2.AsyncClient,
    request: Request,
    body: bytes | Iterator[bytes] | AsyncIterator[bytes] | None,
    silence_s: float | None = None,
) -> httpx2.Request:
    limits = client.timeout if silence_s is None else _patient(client.timeout, silence_s)
    headers = dict(request.headers)
    if isinstance(request.body, Path):
        headers["Content-Length"] = str(max(0, request.body.stat().st_size - request.skip))
    return client.build_request(
        request.method,
        request.path,
        params=list(request.query) or None,
        headers=headers,
        content=body,
        timeout=limits,
    )


def _patient(limits: httpx2.Timeout, silence_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(
        connect=limits.connect, read=silence_s, write=limits.write, pool=limits.pool
    )


def _body(request: Request) -> bytes | Iterator[bytes] | None:
    return _pieces(request) if isinstance(request.body, Path) else request.body


def _async_body(request: Request) -> bytes | AsyncIterator[bytes] | None:
    return _async_pieces(request) if isinstance(request.body, Path) else request.body


def _pieces(request: Request) -> Iterator[bytes]:
    with Path(request.body).open("rb") as file:  # pyright: ignore[reportArgumentType] - a path
        file.seek(request.skip)
        while piece := file.read(_PIECE):
            yield piece


async def _async_pieces(request: Request) -> AsyncIterator[bytes]:
    pieces = _pieces(request)
    while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
        yield piece


async def _no_chunks() -> AsyncIterator[bytes]:
    return
    yield b""


def _hash(path: Path) -> FileFacts:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileFacts(digest.hexdigest(), file.tell())


def _answer(response: httpx2.Response) -> Answer:
    return Answer(response.status_code, _lower(response.headers), response.content)


def _head(response: httpx2.Response) -> Answer:
    return Answer(response.status_code, _lower(response.headers))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _as_ours(error: httpx2.TransportError, base_url: httpx2.URL) -> RequestError:
    url = str(base_url).rstrip("/")
    words = str(error) or type(error).__name__
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
        return ConnectFailed(f"cannot reach a gyoza server at {url}: {words}", url=url)
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(f"{url} did not answer in time: {words}", url=url)
    return ConnectionLost(f"the connection to {url} broke: {words}", url=url)

"""The server over HTTP: the worker's calls as requests, answers as messages or faults.

Only translation: no call is repeated here, since only the caller knows what has changed meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NoReturn, TypeVar, final

import httpx2
import msgspec

from gyoza.wire import messages
from gyoza.wire.messages import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAnswer,
    Problem,
    Register,
    Registered,
    Release,
    Report,
    Reported,
)
from gyoza.wire.strict_json import StrictJsonError
from gyoza.worker.server_port import (
    ArtifactMissing,
    Content,
    ServerAway,
    ServerFault,
    ServerRefused,
    SessionSuperseded,
    WorkerUnknown,
)

_API: Final = "/api/v1"
_TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
# Between two pieces of a file, not for all of it: large files take as long as they take.
_FILE_TIMEOUT: Final = httpx2.Timeout(60.0, connect=5.0)
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_REFUSALS: Final[dict[str, type[ServerRefused]]] = {
    "SESSION_SUPERSEDED": SessionSuperseded,
    "WORKER_NOT_FOUND": WorkerUnknown,
    "ARTIFACT_NOT_FOUND": ArtifactMissing,
}
# Besides all of 5xx: the request was fine and its moment was not.
_LATER: Final = frozenset({408, 425, 429})
_OK: Final = range(200, 300)
_NOT_FOUND: Final = 404
_PARTIAL: Final = 206
_BEYOND_THE_END: Final = 416
# Another has got further, is at it, or sent what was not of this file and is dropped by now.
_ASK_ANEW: Final = frozenset({"UPLOAD_OFFSET", "UPLOAD_BUSY", "HASH_MISMATCH"})
_PIECE_BYTES: Final = 256 * 1024

M = TypeVar("M", bound=msgspec.Struct)


@final
class HttpServer:
    """A `ServerPort` over HTTP.

    Args:
        url: The server's address, such as `http://localhost:5555`.
        key: The worker key; "" sends none.
        transport: In place of the network, for tests; None is the network.
    """

    def __init__(
        self, url: str, key: str = "", *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url
        self._client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + _API,
            headers={"X-API-Key": key} if key else {},
            timeout=_TIMEOUT,
            transport=transport,
            # Without a limit: files on their way must never make a heartbeat wait for its turn.
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=64, keepalive_expiry=60.0
            ),
        )

    async def register(self, message: Register) -> Registered:
        """See `ServerPort.register`."""
        return await self._post("/workers", message, Registered)

    async def heartbeat(self, worker_id: str, message: Heartbeat) -> HeartbeatAnswer:
        """See `ServerPort.heartbeat`."""
        return await self._post(f"/workers/{worker_id}/heartbeat", message, HeartbeatAnswer)

    async def claim(self, worker_id: str, message: Claim) -> Claimed:
        """See `ServerPort.claim`."""
        timeout = httpx2.Timeout(message.wait_s + 10.0, connect=5.0)
        return await self._post(f"/workers/{worker_id}/claims", message, Claimed, timeout)

    async def report(self, worker_id: str, message: Report) -> Reported:
        """See `ServerPort.report`."""
        return await self._post(f"/workers/{worker_id}/reports", message, Reported)

    async def release(self, worker_id: str, message: Release) -> Reported:
        """See `ServerPort.release`."""
        return await self._post(f"/workers/{worker_id}/releases", message, Reported)

    async def put_artifact(
        self, sha256: str, size_bytes: int, media_type: str, content: Content
    ) -> None:
        """See `ServerPort.put_artifact`."""
        path = f"/artifacts/{sha256}"
        try:
            asked = await self._client.head(path)
            if asked.status_code in _OK:
                return
            arrived = _arrived(asked, size_bytes)
            response = await self._client.request(
                "PATCH" if arrived else "PUT",
                path,
                content=content(arrived),
                headers=_upload_headers(arrived, size_bytes, media_type),
                timeout=_FILE_TIMEOUT,
            )
        except httpx2.TransportError as error:
            raise self._away(error) from error
        if arrived and (code := _problem(response)[0]) in _ASK_ANEW:
            raise ServerAway(f"{path}: cannot go on from byte {arrived}: {code}")
        self._checked(response)

    @asynccontextmanager
    async def get_artifact(
        self, sha256: str, *, start: int = 0
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `ServerPort.get_artifact`."""
        # As stored: parts of a compressed body could not be put together.
        headers = {"Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        try:
            async with self._client.stream(
                "GET", f"/artifacts/{sha256}", headers=headers, timeout=_FILE_TIMEOUT
            ) as response:
                if response.status_code == _BEYOND_THE_END:
                    yield _nothing()
                    return
                if response.status_code not in _OK:
                    await response.aread()
                    self._checked(response)
                # Not every proxy knows ranges: the whole file is an answer, too.
                left_out = 0 if response.status_code == _PARTIAL else start
                yield _without(left_out, response.aiter_bytes(_PIECE_BYTES))
        except httpx2.TransportError as error:
            raise self._away(error) from error

    async def close(self) -> None:
        """See `ServerPort.close`."""
        await self._client.aclose()

    async def _post(
        self,
        path: str,
        message: msgspec.Struct,
        kind: type[M],
        timeout: httpx2.Timeout = _TIMEOUT,
    ) -> M:
        try:
            content = messages.encode(message)
        except StrictJsonError as error:
            raise ServerRefused(f"{path}: no server takes this message: {error}") from error
        try:
            response = await self._client.post(
                path,
                content=content,
                headers={"Content-Type": "application/json"},
                timeout=timeout,
            )
        except httpx2.TransportError as error:
            raise self._away(error) from error
        self._checked(response)
        try:
            return messages.decode(response.content, kind, max_bytes=_MAX_ANSWER_BYTES)
        except StrictJsonError as error:
            raise ServerAway(
                f"{self._url}{path} answered what no gyoza server answers ({error}); "
                "is GYOZA_SERVER_URL right?"
            ) from error

    def _away(self, error: httpx2.TransportError) -> ServerAway:
        why = str(error) or type(error).__name__
        return ServerAway(f"no answer from the server at {self._url}: {why}")

    def _checked(self, response: httpx2.Response) -> None:
        if response.status_code not in _OK:
            _raise_fault(response)


def _arrived(asked: httpx2.Response, size_bytes: int) -> int:
    told = asked.headers.get("upload-offset", "")
    arrived = int(told) if told.isascii() and told.isdigit() else 0
    return arrived if arrived <= size_bytes else 0


def _upload_headers(arrived: int, size_bytes: int, media_type: str) -> dict[str, str]:
    length = {"Content-Length": str(size_bytes - arrived)}
    if not arrived:
        return {**length, "Content-Type": media_type}
    return {
        **length,
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(arrived),
        "Upload-Complete": "?1",
        "Upload-Media-Type": media_type,
    }


async def _nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


async def _without(left_out: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if left_out < len(piece):
            yield piece[left_out:]
        left_out = max(0, left_out - len(piece))


def _raise_fault(response: httpx2.Response) -> NoReturn:
    status = response.status_code
    code, detail = _problem(response)
    what = f"{response.request.method} {response.request.url}: {status} {code} {detail}".strip()
    if status >= httpx2.codes.INTERNAL_SERVER_ERROR or status in _LATER:
        raise ServerAway(what)
    raise _refusal(status, code, what)


def _refusal(status: int, code: str, what: str) -> ServerFault:
    kind = _REFUSALS.get(code)
    if kind is None and status == _NOT_FOUND and "/artifacts/" in what:
        kind = ArtifactMissing
    return (kind or ServerRefused)(what, code=code, status=status)


def _problem(response: httpx2.Response) -> tuple[str, str]:
    try:
        problem = messages.decode(response.content, Problem, max_bytes=_MAX_ANSWER_BYTES)
    except StrictJsonError:
        return "", response.text[:200]
    return problem.code, problem.detail

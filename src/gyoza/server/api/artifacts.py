"""Routes of `/artifacts`: files by their SHA-256, streamed both ways.

What an op left is served as a download and never as a page: an HTML file from a stranger's
container must not run in the origin of this server.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Final

import msgspec
from starlette.responses import FileResponse, Response

from gyoza.models.timestamps import format_time
from gyoza.server.api import bodies
from gyoza.server.api.access import Access
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.errors import ArtifactNotFound, InvalidRequest
from gyoza.server.storage.records import ArtifactRecord
from gyoza.wire.messages import Artifact, Fault

OPERATIONS: Final = Operations("artifacts", Access.EITHER)
_BYTES: Final = "application/octet-stream"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
_FOUND: Final = Answer("The bytes; ranges are understood.", media_types=(_BYTES,))


@OPERATIONS.on(
    "PUT",
    "/artifacts/{sha256}",
    "putArtifact",
    {201: Answer("Stored.", Artifact), 200: Answer("Known already.", Artifact)},
    uploads=True,
    problems=("HASH_MISMATCH",),
)
async def put_artifact(call: Call) -> Response:
    """Upload a file under the SHA-256 of its bytes; repeating is harmless."""
    server, sha256 = call.server, _hash_in(call)
    known = await server.store.read(lambda uow: uow.artifacts.find(sha256))
    if known is not None and server.artifact_files.find(sha256) is not None:
        # The body stays unread, so nothing else can come over this connection.
        return json_answer(_document(known), 200, {"Connection": "close"})
    arriving = bodies.stream(call.request, server.settings.max_artifact_bytes)
    async with aclosing(arriving) as parts:
        size_bytes = await server.artifact_files.save(sha256, parts)
    record = ArtifactRecord(sha256, size_bytes, _media_type(call), server.clock.now())
    created = await server.store.write(lambda uow: uow.artifacts.add(record))
    return json_answer(_document(record), 201 if created else 200)


@OPERATIONS.on(
    "GET",
    "/artifacts/{sha256}",
    "getArtifact",
    {200: _FOUND},
    problems=("ARTIFACT_NOT_FOUND",),
)
async def get_artifact(call: Call) -> Response:
    """Download a file."""
    return await _file(call)


@OPERATIONS.on(
    "HEAD",
    "/artifacts/{sha256}",
    "headArtifact",
    {200: Answer("Stored; the headers of a download.")},
    problems=("ARTIFACT_NOT_FOUND",),
)
async def head_artifact(call: Call) -> Response:
    """Ask whether a file is stored."""
    return await _file(call)


async def _file(call: Call) -> Response:
    sha256 = _hash_in(call)
    record = await call.server.store.read(lambda uow: uow.artifacts.find(sha256))
    path = call.server.artifact_files.find(sha256)
    if record is None or path is None:
        raise ArtifactNotFound(sha256)
    headers = {
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{sha256}"',
    }
    return FileResponse(path, headers=headers, media_type=record.media_type, filename=sha256)


def _hash_in(call: Call) -> str:
    sha256 = call.path("sha256")
    if not _SHA256.fullmatch(sha256):
        fault = f"{sha256[:80]!r} is not a SHA-256: 64 hexadecimal digits in lower case"
        raise InvalidRequest([Fault(pointer="sha256", message=fault)])
    return sha256


def _media_type(call: Call) -> str:
    sent = call.request.headers.get("content-type", _BYTES).partition(";")[0].strip().lower()
    return sent if _MEDIA_TYPE.fullmatch(sent) else _BYTES


def _document(record: ArtifactRecord) -> msgspec.Struct:
    return Artifact(
        sha256=record.sha256,
        size_bytes=record.size_bytes,
        media_type=record.media_type,
        created_at=format_time(record.created_at),
    )

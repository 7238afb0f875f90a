"""Routes of `/artifacts`: files by their SHA-256, streamed both ways, resumable both ways.

Uploads resume as draft-ietf-httpbis-resumable-upload has it, with the address known beforehand.
What an op left is served as a download and never as a page: an HTML file from a stranger's
container must not run in the origin of this server.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from datetime import timedelta
from typing import Final

import msgspec
from starlette.responses import Response, StreamingResponse

from gyoza.models.timestamps import format_time
from gyoza.server.api import bodies, problems
from gyoza.server.api.access import Access
from gyoza.server.api.byte_ranges import range_of
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.errors import ArtifactNotFound, InvalidRequest, UploadOffset
from gyoza.server.storage.artifact_uploads import Upload
from gyoza.server.storage.records import ArtifactRecord
from gyoza.wire.messages import Artifact, Fault

OPERATIONS: Final = Operations("artifacts", Access.EITHER)
_BYTES: Final = "application/octet-stream"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
_FOUND: Final = Answer("The bytes; one range is understood.", media_types=(_BYTES,))
_PART: Final = Answer("The bytes of the range.", media_types=(_BYTES,))
_STORED: Final = {201: Answer("Stored.", Artifact), 200: Answer("Known already.", Artifact)}
_MORE: Final = Answer("Kept; more is to come, from `Upload-Offset` on.")
_OFFSET: Final = "Upload-Offset"
_COMPLETE: Final = "Upload-Complete"


@OPERATIONS.on(
    "PUT",
    "/artifacts/{sha256}",
    "putArtifact",
    _STORED,
    uploads=True,
    problems=("HASH_MISMATCH",),
)
async def put_artifact(call: Call) -> Response:
    """Upload a file under the SHA-256 of its bytes; repeating is harmless."""
    return await _receive(call, offset=None, media_type=call.request.headers.get("content-type"))


@OPERATIONS.on(
    "PATCH",
    "/artifacts/{sha256}",
    "resumeArtifact",
    {**_STORED, 204: _MORE},
    uploads=True,
    problems=("HASH_MISMATCH", "UPLOAD_OFFSET", "UPLOAD_BUSY"),
)
async def resume_artifact(call: Call) -> Response:
    """Go on with an upload that broke off, from `Upload-Offset` (as HEAD tells it) on."""
    media_type = call.request.headers.get("upload-media-type")
    try:
        return await _receive(call, offset=_offset_in(call), media_type=media_type)
    except UploadOffset as error:
        instance = call.request.url.path
        document = problems.of_error(
            error, request_id=problems.request_id_of(call.request), instance=instance
        )
        headers = {_OFFSET: str(error.offset), _COMPLETE: "?0", "Connection": "close"}
        return problems.answer(document, headers)


@OPERATIONS.on(
    "GET",
    "/artifacts/{sha256}",
    "getArtifact",
    {200: _FOUND, 206: _PART, 416: Answer("No such range.")},
    problems=("ARTIFACT_NOT_FOUND",),
)
async def get_artifact(call: Call) -> Response:
    """Download a file, or one range of it."""
    record = await _known(call)
    if record is None:
        raise ArtifactNotFound(_hash_in(call))
    size = record.size_bytes
    wanted = range_of(call.request.headers, size, etag=_etag(record))
    if wanted is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    headers = {**_headers(record), "Content-Length": str(len(wanted))}
    status = 200
    if len(wanted) != size:
        status, headers["Content-Range"] = 206, f"bytes {wanted[0]}-{wanted[-1]}/{size}"
    pieces = call.server.artifact_files.read(record.sha256, wanted.start, wanted.stop)
    return StreamingResponse(pieces, status, headers, record.media_type)


@OPERATIONS.on(
    "HEAD",
    "/artifacts/{sha256}",
    "headArtifact",
    {200: Answer("Stored; the headers of a download.")},
    problems=("ARTIFACT_NOT_FOUND",),
)
async def head_artifact(call: Call) -> Response:
    """Ask whether a file is stored; if not, `Upload-Offset` tells how much of it has arrived."""
    record = await _known(call)
    if record is None:
        arrived = await call.server.artifact_files.offset(_hash_in(call))
        return Response(status_code=404, headers={_OFFSET: str(arrived), _COMPLETE: "?0"})
    headers = {**_headers(record), "Content-Length": str(record.size_bytes), _COMPLETE: "?1"}
    return Response(headers=headers, media_type=record.media_type)


async def _receive(call: Call, offset: int | None, media_type: str | None) -> Response:
    server, sha256 = call.server, _hash_in(call)
    known = await _known(call)
    if known is not None:
        # The body stays unread, so nothing else can come over this connection.
        return json_answer(_document(known), 200, {"Connection": "close"})
    max_bytes = server.settings.max_artifact_bytes
    arriving = bodies.stream(call.request, max_bytes)
    files = server.artifact_files
    async with (
        aclosing(arriving) as parts,
        files.receiving(sha256, parts, offset=offset, max_bytes=max_bytes) as upload,
    ):
        if offset is not None and call.request.headers.get(_COMPLETE, "?1") == "?0":
            return Response(status_code=204, headers={_OFFSET: str(upload.size), _COMPLETE: "?0"})
        return await _keep(call, upload, _clean(media_type))


async def _keep(call: Call, upload: Upload, media_type: str) -> Response:
    store = call.server.store
    record = ArtifactRecord(upload.sha256, upload.size, media_type, call.server.clock.now())

    async def note() -> bool:
        return await store.write(lambda uow: uow.artifacts.add(record))

    created = await call.server.artifact_files.keep(upload, note)
    return json_answer(_document(record), 201 if created else 200)


async def _known(call: Call) -> ArtifactRecord | None:
    """The stored file; whoever asks means to use it, so it is spared for another while."""
    server, sha256 = call.server, _hash_in(call)
    record = await server.store.read(lambda uow: uow.artifacts.find(sha256))
    if record is None or await server.artifact_files.size(sha256) is None:
        return None
    grace = timedelta(hours=server.settings.artifact_grace_hours)
    if server.clock.now() - (record.used_at or record.created_at) < grace / 2:
        return record
    return record if await server.store.write(lambda uow: uow.artifacts.touch(sha256)) else None


def _headers(record: ArtifactRecord) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{record.sha256}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": _etag(record),
    }


def _etag(record: ArtifactRecord) -> str:
    return f'"{record.sha256}"'


def _hash_in(call: Call) -> str:
    sha256 = call.path("sha256")
    if not _SHA256.fullmatch(sha256):
        fault = f"{sha256[:80]!r} is not a SHA-256: 64 hexadecimal digits in lower case"
        raise InvalidRequest([Fault(pointer="sha256", message=fault)])
    return sha256


def _offset_in(call: Call) -> int:
    given = call.request.headers.get(_OFFSET, "")
    if not (given.isascii() and given.isdigit() and len(given) < 16):  # noqa: PLR2004 - RFC 9651
        fault = f"got {given[:40]!r}, expected the number of bytes sent before, as HEAD tells it"
        raise InvalidRequest([Fault(pointer=_OFFSET, message=fault)])
    return int(given)


def _clean(media_type: str | None) -> str:
    sent = (media_type or _BYTES).partition(";")[0].strip().lower()
    return sent if _MEDIA_TYPE.fullmatch(sent) else _BYTES


def _document(record: ArtifactRecord) -> msgspec.Struct:
    return Artifact(
        sha256=record.sha256,
        size_bytes=record.size_bytes,
        media_type=record.media_type,
        created_at=format_time(record.created_at),
    )

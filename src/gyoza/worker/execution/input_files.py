"""File inputs: fetched from the server, checked, and replaced by paths inside the container.

A file is a value of the form `{"$artifact": {sha256, size_bytes, media_type, name}}`, as an input
or as an item of an input that is a list. Everything else is passed on untouched.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from gyoza.models.value_types import known_type
from gyoza.op import protocol
from gyoza.wire import messages
from gyoza.wire.messages import ArtifactRef
from gyoza.wire.strict_json import StrictJsonError
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.server_port import ArtifactMissing, ServerPort

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME_CHARS: Final = 100
_TAKING_FILES: Final = ("file", "array", "any", None)

Fetch = Callable[[ArtifactRef], Awaitable[str]]
"""Brings a file into `in/files/` and returns its path inside the container."""


async def with_files_staged(
    inputs: dict[str, Any], specs: dict[str, Any], fetch: Fetch
) -> dict[str, Any]:
    """Return the inputs with every file replaced.

    Args:
        inputs: As the run has them; unchanged.
        specs: Declared inputs as `InputSpecs.to_dict()`; a name that is not in it may be a file.
        fetch: Called for each file.

    Raises:
        StageFailure: A file cannot be had.
    """
    staged: dict[str, Any] = {}
    for name, value in inputs.items():
        declared = specs.get(name, {}).get("type", "any")
        takes_files = known_type(declared) in _TAKING_FILES
        staged[name] = await _staged(value, fetch) if takes_files else value
    return staged


async def fetch_file(server: ServerPort, folder: Path, reference: ArtifactRef) -> str:
    """Store a file as `<folder>/<sha256>/<name>`; nothing happens if it is there.

    Returns:
        Its path inside the container.

    Raises:
        StageFailure: The server lacks it, or sends something else than it promised.
        ServerAway: It cannot be asked now; what came so far is thrown away.
    """
    if not _SHA256.fullmatch(reference.sha256):
        raise StageFailure(
            "BAD_INPUT",
            f"file {reference.name!r}: {reference.sha256!r} is no sha256 in lower-case hex",
            charged=True,
            retryable=False,
        )
    target = folder / reference.sha256 / safe_name(reference.name)
    if not target.exists():
        for each in (folder, target.parent):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)  # whatever our umask: the op is somebody else
        await _download(server, target, reference)
    inside = f"{protocol.DIR}/{protocol.IN}/{protocol.FILES}"
    return f"{inside}/{reference.sha256}/{target.name}"


def safe_name(name: str) -> str:
    """A file name that is harmless to every shell and file system, and still recognisable."""
    last = name.replace("\\", "/").rpartition("/")[2]
    safe = _UNSAFE.sub("_", last).strip(".")[-_MAX_NAME_CHARS:]
    return safe.lstrip("-") or "file"


async def _staged(value: Any, fetch: Fetch) -> Any:
    if isinstance(value, list):
        return [await _staged_item(item, fetch) for item in cast("list[Any]", value)]
    return await _staged_item(value, fetch)


async def _staged_item(value: Any, fetch: Fetch) -> Any:
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if set(members) != {protocol.ARTIFACT_KEY}:
        return cast("Any", value)
    described = members[protocol.ARTIFACT_KEY]
    try:
        reference = messages.convert({"media_type": "", "name": "file", **described}, ArtifactRef)
    except (StrictJsonError, TypeError) as error:
        raise StageFailure(
            "BAD_INPUT",
            f"a file input is not described as it should be: {error}",
            charged=True,
            retryable=False,
        ) from None
    return await fetch(reference)


async def _download(server: ServerPort, target: Path, reference: ArtifactRef) -> None:
    partial = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    received = 0
    try:
        async with server.get_artifact(reference.sha256) as pieces:
            with partial.open("wb") as file:
                async for piece in pieces:
                    received += len(piece)
                    if received > reference.size_bytes:
                        break
                    await asyncio.to_thread(_take, piece, digest.update, file.write)
        if received != reference.size_bytes or digest.hexdigest() != reference.sha256:
            raise _corrupt(reference, received, digest.hexdigest())
        partial.chmod(0o644)
        partial.rename(target)
    except ArtifactMissing as fault:
        raise StageFailure(
            "INPUT_CORRUPT", f"the server lacks {_shown(reference)}: {fault}"
        ) from fault
    finally:
        partial.unlink(missing_ok=True)


def _take(piece: bytes, *takers: Callable[[bytes], object]) -> None:
    # Away from the event loop: a disk may take seconds for a piece.
    for take in takers:
        take(piece)


def _corrupt(reference: ArtifactRef, received: int, found: str) -> StageFailure:
    return StageFailure(
        "INPUT_CORRUPT",
        f"{_shown(reference)} arrived as {received} bytes with sha256 {found}; "
        f"expected {reference.size_bytes} bytes",
    )


def _shown(reference: ArtifactRef) -> str:
    return f"input file {reference.name!r} ({reference.sha256})"


def describe(reference: ArtifactRef) -> dict[str, Any]:
    """The value that stands for a stored file."""
    return {protocol.ARTIFACT_KEY: msgspec.to_builtins(reference)}

"""File inputs: found wherever they are in a run's inputs, and replaced by paths in the container.

A file is a value of the form `{"$artifact": {sha256, size_bytes, media_type, name}}`, as an input
or anywhere inside of one; nothing else is taken for a file. Everything else is passed on untouched.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from gyoza.op import protocol
from gyoza.op.errors import pointer
from gyoza.op.file_places import Place, replaced
from gyoza.wire import messages
from gyoza.wire.messages import ArtifactRef
from gyoza.wire.strict_json import StrictJsonError
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.file_cache import DiskFull, FileCache, WrongContent
from gyoza.worker.server_port import ArtifactMissing, ServerRefused
from gyoza.worker.waiting import end

FETCHED_AT_ONCE: Final = 4
"""Files of one attempt on their way at one time: enough to hide a far server's delays."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME_CHARS: Final = 100

Fetch = Callable[[ArtifactRef], Awaitable[str]]
"""Brings a file into `in/files/` and returns its path inside the container."""


async def with_files_staged(inputs: dict[str, Any], fetch: Fetch) -> dict[str, Any]:
    """Return the inputs with every file replaced.

    Args:
        inputs: As the run has them; unchanged.
        fetch: Called once for each file, however often the inputs name it.

    Raises:
        StageFailure: A file cannot be had, or is described so that none can be meant.
    """
    # All are understood before the first is fetched: what is wrong with the last costs nothing.
    found = {place: _reference(value, place) for place, value in _marked(inputs, ())}
    if not found:
        return inputs
    wanted = {_key(each): each for each in found.values()}
    paths = dict(zip(wanted, await _all(wanted.values(), fetch), strict=True))
    by_place = {place: paths[_key(each)] for place, each in found.items()}
    return cast("dict[str, Any]", replaced(inputs, by_place))


async def stage_file(
    cache: FileCache, folder: Path, reference: ArtifactRef, on_fetch: Callable[[], None]
) -> str:
    """Put a file at `<folder>/<sha256>/<name>`.

    Args:
        cache: Of the worker.
        folder: `in/files/` of the attempt.
        reference: Of the file.
        on_fetch: Called if it has to come from the server.

    Returns:
        Its path inside the container. Files of one name but other content lie in other folders.

    Raises:
        StageFailure: The server lacks it or sends something else, or the disk has no room.
    """
    target = folder / reference.sha256 / safe_name(reference.name)
    await asyncio.to_thread(_make_readable, folder, target.parent)
    try:
        await cache.lend(reference, target, on_fetch)
    except WrongContent as fault:
        raise StageFailure("INPUT_CORRUPT", f"{_shown(reference)} {fault}") from fault
    except ArtifactMissing as fault:
        what = f"the server lacks {_shown(reference)}: {fault}"
        raise StageFailure("INPUT_CORRUPT", what) from fault
    except ServerRefused as fault:
        what = f"the server does not give {_shown(reference)}: {fault}"
        raise StageFailure("WORKER_ERROR", what) from fault
    except DiskFull as fault:
        raise StageFailure(
            "WORKER_ERROR", f"{_shown(reference)} cannot be kept: {fault}"
        ) from fault
    inside = f"{protocol.DIR}/{protocol.IN}/{protocol.FILES}"
    return f"{inside}/{reference.sha256}/{target.name}"


def safe_name(name: str) -> str:
    """A file name that is harmless to every shell and file system, and still recognisable."""
    last = name.replace("\\", "/").rpartition("/")[2]
    safe = _UNSAFE.sub("_", last).strip(".")[-_MAX_NAME_CHARS:]
    return safe.lstrip("-.") or "file"


def describe(reference: ArtifactRef) -> dict[str, Any]:
    """The value that stands for a stored file."""
    return {protocol.ARTIFACT_KEY: msgspec.to_builtins(reference)}


def _marked(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Every value that stands for a file, with the steps to it."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if place and members.keys() == {protocol.ARTIFACT_KEY}:
            yield place, members[protocol.ARTIFACT_KEY]
            return
        for name, member in members.items():
            yield from _marked(member, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _marked(item, (*place, number))


def _reference(described: Any, place: Place) -> ArtifactRef:
    try:
        reference = messages.convert({"media_type": "", "name": "file", **described}, ArtifactRef)
    except (StrictJsonError, TypeError) as error:
        raise _misdescribed(place, f"is not described as a file should be: {error}") from None
    if not _SHA256.fullmatch(reference.sha256):
        raise _misdescribed(place, f"{reference.sha256!r} is no sha256 in lower-case hex")
    if reference.size_bytes < 0:
        raise _misdescribed(place, f"{reference.size_bytes} is no size")
    return reference


def _misdescribed(place: Place, what: str) -> StageFailure:
    where = pointer(("inputs", *place))
    return StageFailure("BAD_INPUT", f"{where}: {what}", charged=True, retryable=False)


async def _all(references: Iterable[ArtifactRef], fetch: Fetch) -> list[str]:
    """Fetch all, some at a time; the first failure stops the others."""
    free = asyncio.Semaphore(FETCHED_AT_ONCE)

    async def fetch_in_turn(reference: ArtifactRef) -> str:
        async with free:
            return await fetch(reference)

    tasks = [asyncio.ensure_future(fetch_in_turn(each)) for each in references]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end(*tasks)


def _key(reference: ArtifactRef) -> tuple[str, str, int]:
    # Another size means that one of the two is wrong, which is to come to light.
    return reference.sha256, safe_name(reference.name), reference.size_bytes


def _make_readable(*folders: Path) -> None:
    for each in folders:
        each.mkdir(exist_ok=True)
        each.chmod(0o755)  # whatever our umask: the op is somebody else


def _shown(reference: ArtifactRef) -> str:
    return f"input file {reference.name!r} ({reference.sha256})"

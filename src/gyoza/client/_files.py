"""Files among the inputs of runs: found at any depth, uploaded, replaced by what stands for them.

Flows, so without I/O of their own; how a file gets to the server is `_flows.put_artifact`.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import msgspec

from gyoza.client import _calls, _flows
from gyoza.client._effects import Flow, Sleep, Spool, Spooled
from gyoza.client.errors import FetchFailed
from gyoza.client.files import AsyncFileRef, FileInput, FileRef, FileSource
from gyoza.client.settings import Backoff
from gyoza.models import OpRun
from gyoza.models.value_types import ARTIFACT_KEY
from gyoza.wire.messages import Artifact, ArtifactRef, BatchAnswer, JsonObject, SubmitRun, convert

BYTES: Final = "application/octet-stream"
_REFERENCES: Final = (FileRef, AsyncFileRef)
_CONTENTS: Final = (bytes, bytearray, memoryview)


def submit(body: SubmitRun, key: str, backoff: Backoff) -> Flow[OpRun]:
    """Upload the files among the inputs, then submit the run."""
    inputs = yield from with_uploads(body.inputs, _Known(), backoff)
    ready = msgspec.structs.replace(body, inputs=inputs)
    return (yield from _flows.perform(_calls.submit_run(ready, key), backoff))


def submit_batch(documents: Sequence[JsonObject], key: str, backoff: Backoff) -> Flow[BatchAnswer]:
    """Upload the files among the inputs, each once, then submit the runs."""
    known = _Known()
    ready: list[JsonObject] = []
    for document in documents:
        document_ready = yield from with_uploads(document, known, backoff)
        ready.append(document_ready)
    return (yield from _flows.perform(_calls.submit_batch(ready, key), backoff))


class _Known:
    """What was uploaded in this conversation, so that a file in many places is sent once."""

    def __init__(self) -> None:
        self._values: dict[Any, tuple[Any, Artifact]] = {}

    def find(self, source: FileSource) -> Artifact | None:
        found = self._values.get(_key(source))
        return None if found is None else found[1]

    def note(self, source: FileSource, stored: Artifact) -> None:
        # With the source itself, so that its id stays its own.
        self._values[_key(source)] = (source, stored)


def with_uploads(value: Any, known: _Known, backoff: Backoff) -> Flow[Any]:
    """Return a value with every file in it uploaded and replaced; it is itself when it has none."""
    if not _has_files(value):
        return value
    if isinstance(value, _REFERENCES):
        return value.value
    if isinstance(value, Mapping):
        replaced: JsonObject = {}
        for name, member in cast("Mapping[str, Any]", value).items():
            replaced[name] = yield from with_uploads(member, known, backoff)
        return replaced
    if isinstance(value, list | tuple):
        items: list[Any] = []
        for item in cast("Sequence[Any]", value):
            item_ready = yield from with_uploads(item, known, backoff)
            items.append(item_ready)
        return items
    given = value if isinstance(value, FileInput) else FileInput(value)
    return (yield from upload(given, known, backoff))


def upload(given: FileInput, known: _Known | None, backoff: Backoff) -> Flow[JsonObject]:
    """Store a file and return the value that stands for it.

    Args:
        given: The file.
        known: What was uploaded already; None when nothing was.
        backoff: When to try again.

    Raises:
        FetchFailed: It is at a URL and cannot be had from there.
    """
    stored = known.find(given.source) if known else None
    if stored is None:
        stored = yield from _stored(given, backoff)
        if known:
            known.note(given.source, stored)
    name = given.name or _name_of(given.source)
    media_type = given.media_type or mimetypes.guess_type(name)[0] or stored.media_type
    facts = {"sha256": stored.sha256, "size_bytes": stored.size_bytes}
    return {ARTIFACT_KEY: {**facts, "media_type": media_type, "name": name}}


def _stored(given: FileInput, backoff: Backoff) -> Flow[Artifact]:
    source = given.source
    told = ""
    if isinstance(source, _CONTENTS):
        content: bytes | Path = bytes(source)
    elif isinstance(source, Path) or (isinstance(source, str) and not is_url(source)):
        content = Path(source)
    else:
        spooled = yield from _spooled(source, backoff)
        content, told = spooled.path, spooled.media_type
    guessed = mimetypes.guess_type(given.name or _name_of(source))[0]
    media_type = given.media_type or guessed or told or BYTES
    stored = yield from _flows.put_artifact(content, media_type, backoff)
    # The server keeps what its first sender called it.
    return msgspec.structs.replace(stored, media_type=media_type)


def _spooled(source: Any, backoff: Backoff) -> Flow[Spooled]:
    failures = 0
    while True:
        try:
            return (yield Spool(source))
        except FetchFailed as error:
            failures += 1
            if failures > backoff.retries or not error.may_pass:
                raise
        yield Sleep(backoff.pause_s(failures))


def reference_in(value: JsonObject) -> ArtifactRef:
    """Return the file that a value of `upload` stands for."""
    return convert(value[ARTIFACT_KEY], ArtifactRef)


def is_url(source: str) -> bool:
    """Whether a word is an address to fetch from, and no path."""
    return source.lower().startswith(("http://", "https://"))


def _name_of(source: FileSource) -> str:
    if isinstance(source, str) and is_url(source):
        return PurePosixPath(unquote(urlsplit(source).path)).name or "file"
    name = source if isinstance(source, str | Path) else getattr(source, "name", "")
    return Path(name).name or "file" if isinstance(name, str | Path) else "file"


def _key(source: FileSource) -> Any:
    return source if isinstance(source, str | Path) else id(source)


def _has_files(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_files, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list | tuple):
        return any(map(_has_files, cast("Sequence[Any]", value)))
    if value is None or isinstance(value, str | int | float):
        return False
    kinds = (FileInput, Path, *_CONTENTS, *_REFERENCES)
    return isinstance(value, kinds) or callable(getattr(value, "read", None))

"""Conversations of more than one step, as generators of effects: repeating, paging, files.

No I/O, no clock, no randomness beyond the backoff's own: a driver carries the effects out. What
follows a run as it goes on is in `_following`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from gyoza.client import _answers, _calls
from gyoza.client._calls import Call, PageOf
from gyoza.client._effects import Answer, Download, Emit, FileFacts, Flow, HashFile, Send, Sleep
from gyoza.client.errors import (
    ConnectFailed,
    ConnectionLost,
    GyozaError,
    ResponseError,
)
from gyoza.client.settings import Backoff
from gyoza.wire.messages import Artifact, Event, LogChunk

_NOT_FOUND: Final = 404
# Another connection sends the same file, or sent more of it since we asked.
_GOING_ON: Final = ("UPLOAD_BUSY", "UPLOAD_OFFSET")
T = TypeVar("T")
N = TypeVar("N", Event, LogChunk)


def perform(call: Call[T], backoff: Backoff) -> Flow[T]:
    """Make a call, repeating it after passing trouble where that is safe.

    Raises:
        GyozaError: The last trouble, or one that no repetition helps.
    """
    failures = 0
    while True:
        try:
            answer = yield Send(call.request)
            return call.read(_answers.check(answer))
        except GyozaError as error:
            failures += 1
            if failures > backoff.retries or not may_repeat(error, repeatable=call.is_repeatable):
                raise
            pause = backoff.pause_s(failures, retry_after_s(error))
        yield Sleep(pause)


def may_repeat(error: GyozaError, *, repeatable: bool) -> bool:
    """Decide whether the same call may be sent again after this error.

    Args:
        error: What the call ended with.
        repeatable: Whether sending it twice has the effect of sending it once.
    """
    if isinstance(error, ConnectFailed):
        return True
    return repeatable and error.is_retryable


def retry_after_s(error: GyozaError) -> float | None:
    """Return how long the server asked to wait; None when it did not."""
    return error.retry_after_s if isinstance(error, ResponseError) else None


def emit_pages(page: Callable[[str], Call[PageOf[T]]], backoff: Backoff) -> Flow[None]:
    """Emit every item of a list, reading a page only when it is needed."""
    token = ""
    while True:
        answer = yield from perform(page(token), backoff)
        for item in answer.items:
            yield Emit(item)
        token = answer.next_page_token
        if not token:
            return


def collect(page: Callable[[str], Call[PageOf[T]]], backoff: Backoff) -> Flow[list[T]]:
    """Return every item of a list."""
    items: list[T] = []
    token = ""
    while True:
        answer = yield from perform(page(token), backoff)
        items += answer.items
        token = answer.next_page_token
        if not token:
            return items


def emit_numbered(
    page: Callable[[int], Call[PageOf[N]]], backoff: Backoff, after: int = 0
) -> Flow[None]:
    """Emit every item of a numbered list (events, log chunks), reading on after the last one."""
    while True:
        answer = yield from perform(page(after), backoff)
        for item in answer.items:
            yield Emit(item)
        if not answer.next_page_token or not answer.items:
            return
        after = answer.items[-1].number


def put_artifact(content: bytes | Path, media_type: str, backoff: Backoff) -> Flow[Artifact]:
    """Store bytes or a file under its hash; what the server has already is not sent again.

    That holds for the whole file, and for its beginning when an earlier upload broke off.
    """
    if isinstance(content, Path):
        facts: FileFacts = yield HashFile(content)
    else:
        facts = FileFacts(hashlib.sha256(content).hexdigest(), len(content))
    return (yield from _Sending(content, facts, media_type, backoff).flow())


class _Sending:
    """The conversation that brings a file to the server, however often the connection breaks."""

    def __init__(
        self, content: bytes | Path, facts: FileFacts, media_type: str, backoff: Backoff
    ) -> None:
        self._content = content
        self._facts = facts
        self._media_type = media_type
        self._backoff = backoff
        self._arrived = 0
        self._failures = 0
        self._began_anew = False

    def flow(self) -> Flow[Artifact]:
        """Ask what has arrived and send the rest, until everything has."""
        while True:
            try:
                arrived = yield from self._ask()
                if arrived is None:
                    return self._stored()
                call = self._call(arrived)
                return call.read(_answers.check((yield Send(call.request))))
            except GyozaError as error:
                pause = self._pause_after(error)
            yield Sleep(pause)

    def _ask(self) -> Flow[int | None]:
        """Return how many bytes have arrived; None when all have and the file is stored."""
        answer: Answer = yield Send(_calls.has_artifact(self._facts.sha256).request)
        if answer.status != _NOT_FOUND:
            _answers.check(answer)
            return None
        told = answer.headers.get("upload-offset", "")
        arrived = int(told) if told.isascii() and told.isdigit() else 0
        if arrived > self._arrived:
            self._failures = 0  # it gets on, whoever sends it
        self._arrived = arrived
        return arrived

    def _call(self, arrived: int) -> Call[Artifact]:
        sha256, content, media_type = self._facts.sha256, self._content, self._media_type
        if 0 < arrived <= self._facts.size_bytes:
            return _calls.resume_artifact(sha256, arrived, content, media_type)
        return _calls.put_artifact(sha256, content, media_type)

    def _pause_after(self, error: GyozaError) -> float:
        """Return how long to wait before going on; raises the error when nothing helps."""
        code = error.code if isinstance(error, ResponseError) else ""
        if code == "HASH_MISMATCH" and self._arrived and not self._began_anew:
            # What arrived before was not of this file; the server has dropped it.
            self._began_anew = True
            return 0.0
        self._failures += 1
        passes = code in _GOING_ON or may_repeat(error, repeatable=True)
        if not passes or self._failures > self._backoff.retries:
            raise error
        return self._backoff.pause_s(self._failures, retry_after_s(error))

    def _stored(self) -> Artifact:
        facts = self._facts
        return Artifact(
            sha256=facts.sha256, size_bytes=facts.size_bytes, media_type=self._media_type
        )


def get_artifact(sha256: str, path: Path, backoff: Backoff) -> Flow[Path]:
    """Bring a stored file to `path`, going on where it was when the connection breaks."""
    failures = 0
    while True:
        try:
            answer = yield Download(_calls.get_artifact(sha256), path, sha256)
            _answers.check(answer)
            return path
        except GyozaError as error:
            failures += 1
            if failures > backoff.retries or not may_repeat(error, repeatable=True):
                raise
        yield Sleep(backoff.pause_s(failures))


def read_artifact(sha256: str, backoff: Backoff) -> Flow[bytes]:
    """Return a stored file's bytes."""
    request = _calls.get_artifact(sha256)

    def checked(content: bytes) -> bytes:
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ConnectionLost(f"the bytes of artifact {sha256} arrived incomplete or changed")
        return content

    return (yield from perform(Call(request, lambda answer: checked(answer.body)), backoff))


def emit_events(run_id: str, after: int, backoff: Backoff) -> Flow[None]:
    """Emit a run's events numbered above `after` that exist now."""
    yield from emit_numbered(lambda last: _calls.list_events(run_id, last), backoff, after)


def emit_logs(run_id: str, attempt: int | None, tail: int | None, backoff: Backoff) -> Flow[None]:
    """Emit an attempt's log chunks that exist now: all, or the last `tail`."""
    if tail is not None:
        call = _calls.list_logs(run_id, attempt=attempt, after=0, tail=tail)
        for item in (yield from perform(call, backoff)).items:
            yield Emit(item)
        return
    yield from emit_numbered(
        lambda last: _calls.list_logs(run_id, attempt=attempt, after=last), backoff
    )

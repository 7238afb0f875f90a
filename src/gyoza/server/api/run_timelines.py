"""Routes of `/runs/{id}/events` and `/runs/{id}/logs`: read by pages, or followed as they grow.

A follower is woken by the store after each commit that touched the run and reads a bounded portion.
Whether the run is over and what it left are read in one transaction, so that the end is never
announced before everything was sent.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Final

import msgspec
from starlette.responses import Response, StreamingResponse

from gyoza.models import OpRun
from gyoza.server.api import event_streams
from gyoza.server.api.documents import EventPage, LogPage
from gyoza.server.api.event_streams import EventStream, Pace, Portion, follow, frame
from gyoza.server.api.lifelines import Lifeline
from gyoza.server.api.operations import Answer, Call, Operations, json_answer
from gyoza.server.api.queries import EventsQuery, LogsQuery, page_of
from gyoza.server.errors import InvalidRequest
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import runs
from gyoza.server.use_cases.documents import run_document
from gyoza.wire.messages import Event, Fault, JsonObject, LogChunk

OPERATIONS: Final = Operations("runs")
TEXT: Final = "text/plain"
_PORTION: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_PROBLEMS: Final = ("RUN_NOT_FOUND", "AMBIGUOUS_ID")


@OPERATIONS.on(
    "GET",
    "/runs/{id}/events",
    "listRunEvents",
    {200: Answer("Events in order.", EventPage, (event_streams.MEDIA_TYPE,))},
    query=EventsQuery,
    problems=_PROBLEMS,
)
async def list_events(call: Call) -> Response:
    """List a run's events, or follow them as server-sent events until the run is over."""
    query = call.query(EventsQuery)
    run = await _run(call)
    if call.accepts(event_streams.MEDIA_TYPE):
        (after,) = _last_event_id(call, parts=1) or (query.after,)
        follower = EventFollower(call, run.id, after)
        return EventStream(follower.frames, call.server.stopping)
    limit = page_of(query.page_size, call.server.settings)
    found = await call.server.store.read(
        lambda uow: runs.list_events(uow, run.id, after=query.after, limit=limit)
    )
    return _page(found, limit)


@OPERATIONS.on(
    "GET",
    "/runs/{id}/logs",
    "listRunLogs",
    {200: Answer("Output in order.", LogPage, (TEXT, event_streams.MEDIA_TYPE))},
    query=LogsQuery,
    problems=_PROBLEMS,
)
async def list_logs(call: Call) -> Response:
    """List what an attempt wrote, as JSON or text, or follow it until the run is over."""
    query = call.query(LogsQuery)
    run = await _run(call)
    attempt = _attempt_of(run, query.attempt)
    if call.accepts(event_streams.MEDIA_TYPE):
        resumed = _last_event_id(call, parts=2)
        # Who resumes has had the tail, and now wants what came behind it.
        tail = None if resumed else query.tail
        place = resumed or (attempt, query.after)
        follower = LogFollower(call, run.id, place, only=query.attempt, tail=tail)
        return EventStream(follower.frames, call.server.stopping)
    if call.accepts(TEXT):
        return StreamingResponse(_log_text(call, run.id, attempt, query), media_type=TEXT)
    limit = page_of(query.page_size, call.server.settings)
    found = await call.server.store.read(
        lambda uow: runs.list_logs(
            uow, run.id, attempt=attempt, after=query.after, tail=query.tail, limit=limit
        )
    )
    return _page(found, limit if query.tail is None else None)


class EventFollower:
    """Follows a run's events from a number on.

    Args:
        call: The request.
        run_id: Whole id of the run.
        after: The last number that the client has.
    """

    def __init__(self, call: Call, run_id: str, after: int) -> None:
        self._server = call.server
        self._run_id = run_id
        self._after = after

    async def frames(self, lifeline: Lifeline) -> AsyncGenerator[bytes, None]:
        """Yield frames until the run is over or the lifeline ends."""
        pace = Pace(self._server.clock)
        async with self._server.store.wakeups.subscribe(f"run:{self._run_id}") as waiter:
            async for sent in follow(self._look, waiter, lifeline, pace):
                yield sent

    async def _look(self) -> Portion:
        found, ended = await self._server.store.read(self._read)
        if found:
            self._after = found[-1].number
        frames = [frame(event.type, str(event.number), _plain(event)) for event in found]
        more = len(found) == _PORTION
        return Portion(frames, more=more, over=ended is not None, last_words=ended or {})

    def _read(self, uow: UnitOfWork) -> tuple[list[Event], JsonObject | None]:
        """New events and, once the run is over, its document, so that nobody has to ask again."""
        run = runs.get_run(uow, self._run_id)
        found = runs.list_events(uow, self._run_id, after=self._after, limit=_PORTION)
        if not run.is_terminal:
            return found, None
        return found, run_document(runs.get_run(uow, self._run_id, events=True), events=True)


class LogFollower:
    """Follows what a run writes, through its attempts, or one attempt of it alone.

    Args:
        call: The request.
        run_id: Whole id of the run.
        place: The attempt and number of the last chunk that the client has.
        only: Keeps to this attempt; None goes on through all.
        tail: Starts with the last so many chunks instead; None starts at `place`.
    """

    def __init__(
        self,
        call: Call,
        run_id: str,
        place: tuple[int, ...],
        *,
        only: int | None,
        tail: int | None,
    ) -> None:
        self._server = call.server
        self._run_id = run_id
        self._only = only
        self._tail = None if tail is None else min(tail, _PORTION)
        self._attempt, self._after = place

    async def frames(self, lifeline: Lifeline) -> AsyncGenerator[bytes, None]:
        """Yield frames until the output is over or the lifeline ends."""
        pace = Pace(self._server.clock)
        async with self._server.store.wakeups.subscribe(f"run:{self._run_id}") as waiter:
            async for sent in follow(self._look, waiter, lifeline, pace):
                yield sent

    async def _look(self) -> Portion:
        found, run = await self._server.store.read(self._read)
        self._tail = None
        frames = [frame("log", f"{chunk.attempt}.{chunk.number}", _plain(chunk)) for chunk in found]
        if found:
            self._after = found[-1].number
        if len(found) == _PORTION:
            return Portion(frames, more=True, over=False)
        return self._at_end_of_attempt(frames, run)

    def _at_end_of_attempt(self, frames: list[bytes], run: OpRun) -> Portion:
        closed = self._attempt < run.current_attempt.attempt
        if closed and self._only is None:
            self._attempt, self._after = self._attempt + 1, 0
            return Portion(frames, more=True, over=False)
        return Portion(frames, more=False, over=closed or run.is_terminal)

    def _read(self, uow: UnitOfWork) -> tuple[list[LogChunk], OpRun]:
        run = runs.get_run(uow, self._run_id)
        found = runs.list_logs(
            uow,
            self._run_id,
            attempt=self._attempt,
            after=self._after,
            tail=self._tail,
            limit=_PORTION,
        )
        return found, run


def _attempt_of(run: OpRun, asked: int | None) -> int:
    had = len(run.attempts)
    if asked is not None and asked > had:
        many = "1 attempt" if had == 1 else f"{had} attempts"
        fault = Fault(pointer="attempt", message=f"the run has {many}, none is {asked}")
        raise InvalidRequest([fault])
    return asked or run.current_attempt.attempt


async def _log_text(
    call: Call, run_id: str, attempt: int, query: LogsQuery
) -> AsyncGenerator[bytes, None]:
    after, tail = query.after, query.tail
    limit = _PORTION if tail is None else tail
    while True:
        found = await call.server.store.read(
            lambda uow, after=after: runs.list_logs(
                uow, run_id, attempt=attempt, after=after, tail=tail, limit=limit
            )
        )
        yield "".join(chunk.text for chunk in found).encode()
        if tail is not None or len(found) < limit:
            return
        after = found[-1].number


async def _run(call: Call) -> OpRun:
    return await call.server.store.read(lambda uow: runs.get_run(uow, call.path("id")))


def _last_event_id(call: Call, *, parts: int) -> tuple[int, ...] | None:
    sent = call.request.headers.get("last-event-id")
    if not sent:
        return None
    numbers = sent.split(".")
    if len(numbers) != parts or not all(_NUMBER.fullmatch(part) for part in numbers):
        fault = f"{sent!r} is not the id of an event of this stream"
        raise InvalidRequest([Fault(pointer="Last-Event-ID", message=fault)])
    return tuple(int(part) for part in numbers)


def _page(found: list[Event] | list[LogChunk], limit: int | None) -> Response:
    # These lists go on from `after`, a number their reader knows; the token repeats it.
    token = str(found[-1].number) if found and len(found) == limit else ""
    return json_answer({"items": msgspec.to_builtins(found), "next_page_token": token})


def _plain(message: Event | LogChunk) -> dict[str, object]:
    return msgspec.to_builtins(message)

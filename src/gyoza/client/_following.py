"""Following a run while it goes on: events, logs, and waiting for its end.

All three hold one stream of server-sent events open and resume it by the last id after anything
breaks, so that they react within milliseconds and outlive a restart of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from gyoza.client import _answers, _calls
from gyoza.client._calls import Call
from gyoza.client._effects import Emit, Flow, NextChunk, Now, Open, Request, Sleep
from gyoza.client._flows import perform, retry_after_s
from gyoza.client._sse import Message, SseDecoder
from gyoza.client.errors import (
    ConnectionLost,
    GyozaError,
    RunCancelled,
    RunFailed,
    TimedOut,
    WaitTimeout,
)
from gyoza.client.settings import Backoff
from gyoza.models import OpRun, OpRunState
from gyoza.wire import strict_json
from gyoza.wire.messages import JsonObject, LogChunk

T = TypeVar("T")
# The server sends a comment every 15 s: twice that without a word means nobody is there any more.
SILENCE_S: Final = 30.0
# How much later than asked a wait may end.
DEADLINE_SLACK_S: Final = 0.5
LAST_LOG_CHUNKS: Final = 20
SHOWN_LOG_LINES: Final = 5

Resume: TypeAlias = Callable[[str], Request]


class _DeadlinePassed(Exception):
    """The caller's time is over."""


@dataclass(slots=True)
class _Trouble:
    """Failures in a row, and since when; ends with the error once patience is over."""

    backoff: Backoff
    failures: int = 0
    since: float = field(default=0.0)

    def note(self, error: GyozaError, now: float) -> float:
        """Return the pause before the next try, or raise the error."""
        self.failures += 1
        if self.failures == 1:
            self.since = now
        if not error.is_retryable or now - self.since > self.backoff.patience_s:
            raise error
        return self.backoff.pause_s(self.failures, retry_after_s(error))


def follow_events(run_id: str, after: int, backoff: Backoff) -> Flow[None]:
    """Emit a run's events numbered above `after` as they happen, until the run is over."""
    start = str(after) if after else ""
    yield from _emit(lambda last: _calls.follow_events(run_id, last), start, _calls.event, backoff)


def follow_logs(
    run_id: str, *, attempt: int | None, tail: int | None, backoff: Backoff
) -> Flow[None]:
    """Emit a run's log chunks as they are written, until the run is over and all was sent."""

    def resume(last: str) -> Request:
        return _calls.follow_logs(run_id, last, attempt=attempt, tail=tail)

    yield from _emit(resume, "", _calls.log_chunk, backoff)


def wait(run_id: str, timeout_s: float | None, backoff: Backoff) -> Flow[OpRun]:
    """Return the run once it is over.

    Raises:
        WaitTimeout: It is not over after `timeout_s` seconds; it goes on.
    """
    deadline = None if timeout_s is None else (yield Now()) + timeout_s
    call = _calls.get_run(run_id)
    run = yield from perform(call, backoff)
    last_id = ""
    while not run.is_terminal:
        try:
            position = yield from _pass_events(run_id, last_id, deadline, backoff)
        except _DeadlinePassed:
            run = yield from _last_look(run, backoff)
            if not run.is_terminal:
                raise WaitTimeout(_still(run, timeout_s), run) from None
        else:
            last_id = position.last_id
            run = position.ended_run or (yield from _patiently(call, backoff))
    return run


def _last_look(run: OpRun, backoff: Backoff) -> Flow[OpRun]:
    try:
        return (yield from perform(_calls.get_run(run.id), replace(backoff, retries=0)))
    except GyozaError:
        return run


def _patiently(call: Call[T], backoff: Backoff) -> Flow[T]:
    """Make a call, bearing with a server that restarts just now."""
    trouble = _Trouble(backoff)
    while True:
        try:
            return (yield from perform(call, replace(backoff, retries=0)))
        except GyozaError as error:
            pause = trouble.note(error, (yield Now()))
        yield Sleep(pause)


def outputs_of(run: OpRun, backoff: Backoff) -> Flow[JsonObject]:
    """Return the outputs of an ended run, or raise what its end means."""
    if run.state is OpRunState.COMPLETED:
        return run.outputs
    if run.state is OpRunState.CANCELLED:
        raise RunCancelled(f"run {run.id} was cancelled{_why(run)}", run)
    chunks = yield from _last_logs(run.id, backoff)
    raise RunFailed(_failure(run, chunks), run, chunks)


def _emit(
    resume: Resume, last_id: str, read: Callable[[JsonObject], T], backoff: Backoff
) -> Flow[None]:
    def item(message: Message) -> Flow[None]:
        yield Emit(read(strict_json.loads(message.data)))

    yield from _follow(resume, last_id, None, item, backoff)


def _pass_events(
    run_id: str, last_id: str, deadline: float | None, backoff: Backoff
) -> Flow[_Position]:
    def ignore(message: Message) -> Flow[None]:
        del message
        yield from ()

    def resume(last: str) -> Request:
        return _calls.follow_events(run_id, last)

    return (yield from _follow(resume, last_id, deadline, ignore, backoff))


def _follow(
    resume: Resume,
    last_id: str,
    deadline: float | None,
    handle: Callable[[Message], Flow[None]],
    backoff: Backoff,
) -> Flow[_Position]:
    """Handle every message until the one that says `end`; return where that was."""
    trouble = _Trouble(backoff)
    position = _Position(last_id)
    while True:
        try:
            silence_s = yield from _open(resume(position.last_id), deadline)
            yield from _read(position, silence_s, deadline, handle, trouble)
        except GyozaError as error:
            now: float = yield Now()
            pause = trouble.note(error, now)
            yield Sleep(pause if deadline is None else max(0.0, min(pause, deadline - now)))
        if position.ended:
            return position


@dataclass(slots=True)
class _Position:
    """How far a stream was read; at its end a stream of events has the run's own document."""

    last_id: str
    ended: bool = False
    last_words: str = "{}"

    @property
    def ended_run(self) -> OpRun | None:
        document = strict_json.loads(self.last_words)
        return OpRun.from_dict(document) if document else None


def _open(request: Request, deadline: float | None) -> Flow[float]:
    silence_s = yield from _silence(deadline)
    answer = yield Open(request, silence_s)
    _answers.check(answer)
    return silence_s


def _read(
    position: _Position,
    silence_s: float,
    deadline: float | None,
    handle: Callable[[Message], Flow[None]],
    trouble: _Trouble,
) -> Flow[None]:
    """Read one stream until it says end, falls silent, or has to be reopened for the deadline."""
    decoder = SseDecoder(position.last_id)
    while (chunk := (yield from _next_chunk())) is not None:
        if not chunk:
            return
        trouble.failures = 0
        for message in decoder.feed(chunk):
            if message.event == "end":
                position.ended, position.last_words = True, message.data
                return
            yield from handle(message)
            position.last_id = message.id
        # A stream's silence is fixed when it is opened; near the deadline a shorter one is needed.
        # The slack keeps a busy stream from being reopened at every piece.
        if silence_s - (yield from _silence(deadline)) > DEADLINE_SLACK_S:
            return
    raise ConnectionLost("the server closed the stream before the run was over")


def _next_chunk() -> Flow[bytes | None]:
    """Return the next piece, None at the end, and nothing at all (b"") after a long silence."""
    try:
        return (yield NextChunk())
    except TimedOut:
        return b""


def _silence(deadline: float | None) -> Flow[float]:
    if deadline is None:
        return SILENCE_S
    left: float = deadline - (yield Now())
    if left <= 0:
        raise _DeadlinePassed
    return min(SILENCE_S, left)


def _last_logs(run_id: str, backoff: Backoff) -> Flow[tuple[LogChunk, ...]]:
    # The failure itself must reach the caller also when its logs are not to be had.
    call = _calls.list_logs(run_id, attempt=None, after=0, tail=LAST_LOG_CHUNKS)
    try:
        page = yield from perform(call, replace(backoff, retries=0))
    except GyozaError:
        return ()
    return tuple(page.items)


def _failure(run: OpRun, chunks: tuple[LogChunk, ...]) -> str:
    lines = "".join(chunk.text for chunk in chunks).splitlines()[-SHOWN_LOG_LINES:]
    shown = "".join(f"\n  | {line}" for line in lines)
    return f"run {run.id} failed{_why(run)}{shown}"


def _why(run: OpRun) -> str:
    words = [word for word in (run.reason, run.execution_summary.error_message) if word]
    return f": {': '.join(words)}" if words else ""


def _still(run: OpRun, timeout_s: float | None) -> str:
    phase = f" ({run.phase})" if run.phase else ""
    return f"run {run.id} is still {run.state.value}{phase} after {timeout_s:g} s; it goes on"

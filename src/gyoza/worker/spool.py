"""What one attempt still has to tell the server: numbered, bounded, repeated until acknowledged.

Values in, report items out; no I/O. Numbers are given when something is first sent, so that what
has to be dropped for want of room leaves no gap. Sending, and when, is done in `reporting`.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final, Literal

import msgspec

from gyoza.wire.messages import ReportAnswer, ReportedEvent, ReportedLog, ReportItem, Result
from gyoza.worker.channel import Channel
from gyoza.worker.cursors import NOTHING, NOWHERE, Cursors, EventMark, Place
from gyoza.worker.logs import PIECE_CHARS, LogMark, Stream, dropped_mark

MAX_WAITING_LOG_BYTES: Final = 1024 * 1024
MAX_WAITING_EVENT_BYTES: Final = 1024 * 1024
_BATCH_LOG_BYTES: Final = 256 * 1024
_BATCH_EVENT_BYTES: Final = 256 * 1024
_MAX_REFUSALS: Final = 5

EventType = Literal["STARTED", "PROGRESS", "INFO", "ERROR"]


class Spool:
    """One attempt's unacknowledged phases, events, logs and result.

    Args:
        run_id: Whose.
        fence: Of the assignment.
        token: That goes with the fence.
        past: What an earlier process has sent and the server has got.
    """

    def __init__(self, run_id: str, fence: int, token: str, past: Cursors = NOTHING) -> None:
        self.run_id = run_id
        self.fence = fence
        self._token = token
        self._noted = past
        self._orders = count(1)
        self._phase: str | None = None
        self._is_urgent = False
        self._events = Channel[ReportedEvent](
            _BATCH_EVENT_BYTES, next_seq=past.events + 1, place=Place(0, past.event_mark)
        )
        self._logs = Channel[ReportedLog](
            _BATCH_LOG_BYTES, next_seq=past.logs + 1, place=Place(0, past.log_mark)
        )
        self._progress: tuple[ReportedEvent, Place[Any]] | None = None
        self._result: Result | None = None
        self._refusals = 0
        self._gaps = 0

    @property
    def is_urgent(self) -> bool:
        """Something in here is not to wait for the next full second."""
        return self._is_urgent

    @property
    def has_result(self) -> bool:
        """The attempt has ended, and the server does not know yet."""
        return self._result is not None

    @property
    def is_empty(self) -> bool:
        """Everything has been acknowledged."""
        return (
            self._phase is None
            and self._progress is None
            and self._result is None
            and self._events.is_empty
            and self._logs.is_empty
        )

    def new_cursors(self) -> Cursors | None:
        """What `next_item` covers, if that was not told before: to be noted before it is sent."""
        events, logs = self._events, self._logs
        reached = Cursors(events.last_seq, logs.last_seq, events.place.mark, logs.place.mark)
        if reached == self._noted:
            return None
        self._noted = reached
        return reached

    def set_phase(self, phase: str) -> None:
        """The latest phase replaces one that was not sent yet."""
        self._phase = phase
        self._is_urgent = True

    def add_event(
        self,
        kind: EventType,
        msg: str | int,
        payload: dict[str, Any],
        t_us: int,
        *,
        mark: EventMark | None = None,
        may_end: bool = True,
    ) -> None:
        """Add an event; progress replaces progress that was not sent yet.

        Args:
            kind: What it tells of.
            msg: In words, or a figure.
            payload: More of it.
            t_us: When it happened.
            mark: The place behind it in the op's file; None if it does not come from there.
            may_end: False if an event of the same mark follows.
        """
        event = ReportedEvent(seq=0, t_us=t_us, type=kind, msg=msg, payload=payload)
        place = self._place(mark)
        if kind == "PROGRESS":
            self._progress = event, place
            return
        if kind == "STARTED":
            self._is_urgent = True
        size = len(str(msg)) + (len(str(payload)) if payload else 0)
        self._events.put(event, size, place, may_end=may_end)
        self._shed_events(t_us)

    def add_log(self, stream: Stream, text: str, t_us: int, mark: LogMark | None = None) -> None:
        """Add a piece of log; it joins the one before if that waits still and has room."""
        last, place = self._logs.last_waiting, self._place(mark)
        if last is not None and last.stream == stream and len(last.text) + len(text) <= PIECE_CHARS:
            self._logs.replace_last(_longer(last, text), len(text), place)
        else:
            log = ReportedLog(seq=0, t_us=t_us, stream=stream, text=text)
            self._logs.put(log, len(text), place)
        self._shed_logs(t_us)

    def _place(self, mark: EventMark | LogMark | None) -> Place[Any]:
        return NOWHERE if mark is None else Place(next(self._orders), mark)

    def set_result(self, result: Result) -> None:
        """The attempt has ended; the result is sent together with the last of the rest."""
        self._result = result
        self._is_urgent = True

    def next_item(self) -> ReportItem:
        """What to send now: what was sent before without an answer, then more if there is room."""
        self._is_urgent = False
        # With the next batch in any case: what else was read with it must not go on without it.
        progress = None if self._events.is_unanswered else self._progress
        events, logs = self._events.next_batch(progress), self._logs.next_batch()
        if progress is not None:
            self._progress = None
        is_all = not (self._events.has_waiting or self._logs.has_waiting or self._progress)
        return ReportItem(
            run_id=self.run_id,
            fence=self.fence,
            token=self._token,
            phase=self._phase,
            events=events,
            logs=logs,
            result=self._result if is_all else None,
        )

    def acknowledge(self, sent: ReportItem) -> bool:
        """The server has taken all of an item; returns whether its result was in it."""
        self._events.acknowledge(len(sent.events))
        self._logs.acknowledge(len(sent.logs))
        if self._phase == sent.phase:
            self._phase = None
        has_ended = sent.result is not None
        if has_ended:
            self._result = None
        self._refusals = self._gaps = 0
        # What did not fit into the batch before a result follows without waiting for the second.
        self._is_urgent |= self._result is not None
        return has_ended

    def resume(self, answer: ReportAnswer) -> None:
        """The server expects other numbers: go on from those."""
        if answer.expected_event_seq is not None:
            self._events.go_on_from(answer.expected_event_seq)
        if answer.expected_log_seq is not None:
            self._logs.go_on_from(answer.expected_log_seq)
        # At once, but a server that finds a gap every time is not asked without a pause.
        self._gaps += 1
        self._is_urgent = self._gaps == 1

    def give_way(self, sent: ReportItem, detail: str, t_us: int) -> None:
        """The server will not take this item as it is: never send the same again.

        What it refused of events and logs is dropped. A result is never dropped: outputs that the
        server does not take make it a failure, and if it takes not even that, the barest one.
        """
        self._events.drop_sent()
        self._logs.drop_sent()
        if sent.phase == self._phase:
            self._phase = None
        self._refusals += 1
        if self._result is not None:
            self._result = _takeable(self._result, detail, t_us, self._refusals)
            self._is_urgent = True

    @property
    def is_hopeless(self) -> bool:
        """Not even the barest result is taken: trying on helps nobody."""
        return self._refusals > _MAX_REFUSALS

    def _shed_events(self, t_us: int) -> None:
        def mark(size: int) -> ReportedEvent:
            text = f"{size} bytes of events dropped while the server was away"
            return ReportedEvent(seq=0, t_us=t_us, type="INFO", msg=text)

        self._events.shed(MAX_WAITING_EVENT_BYTES, lambda event: event.type != "STARTED", mark)

    def _shed_logs(self, t_us: int) -> None:
        def mark(size: int) -> ReportedLog:
            piece = dropped_mark(size, " while the server was away")
            return ReportedLog(seq=0, t_us=t_us, stream=piece.stream, text=piece.text)

        self._logs.shed(MAX_WAITING_LOG_BYTES, lambda _: True, mark)


def _longer(log: ReportedLog, text: str) -> ReportedLog:
    return msgspec.structs.replace(log, text=log.text + text)


def _takeable(result: Result, detail: str, t_us: int, refusals: int) -> Result:
    if refusals == 1 and result.outcome == "COMPLETED":
        return msgspec.structs.replace(
            result,
            outcome="FAILED",
            reason="OUTPUT_INVALID",
            message=f"the server does not take the outputs: {detail}",
            retryable=False,
            outputs={},
            artifacts=[],
        )
    if refusals <= 2:  # noqa: PLR2004  once as it is without what was dropped, then bare
        return msgspec.structs.replace(result, outputs={}, artifacts=[], evidence={})
    return Result(
        outcome="FAILED",
        finished_at_us=result.finished_at_us or t_us,
        reason="WORKER_ERROR",
        message=f"the server takes no result of this attempt: {detail}"[:1000],
        charged=False,
    )

"""Telling the server what becomes of the attempts: one batch per moment, for all of them.

A result goes at once, the rest of the lifecycle after a moment in which more may join it, progress
and logs once a second. While the server is away everything waits, bounded, and nothing here ever
makes a run or the heartbeat wait. What is numbered and dropped is decided in `spool`; what a result
says is decided in `execution.outcome`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from gyoza.wire.messages import Report, ReportAnswer, Reported, ReportItem, Result
from gyoza.worker.clock import Clock
from gyoza.worker.cursors import NOTHING, Cursors, EventMark
from gyoza.worker.logs import Piece
from gyoza.worker.server_port import (
    ServerAway,
    ServerPort,
    ServerRefused,
    SessionSuperseded,
    WorkerUnknown,
)
from gyoza.worker.spool import EventType, Spool
from gyoza.worker.waiting import Backoff, happens_within

COALESCE_S: Final = 1.0
# The life of a short container fits in here: its phases, its start and its end are then one report,
# and the server's work for it does not compete with the engine's on the same cores.
GATHER_S: Final = 0.2
_MAX_BATCH_ITEMS: Final = 200
_MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
_log = structlog.stdlib.get_logger(__name__)


def microseconds(moment: datetime) -> int:
    """An aware moment as messages carry it: whole microseconds since 1970."""
    return round(moment.timestamp() * 1_000_000)


class Watcher(Protocol):
    """Who wants to know what the server says of this worker as a whole."""

    def on_superseded(self, fault: SessionSuperseded) -> None:
        """Another process is this worker now."""
        ...

    def on_unknown(self) -> None:
        """The server wants this worker to register again."""
        ...


class AttemptReport:
    """What one attempt says to the server; nothing of it waits or raises but `result`.

    Args:
        reporter: Delivers.
        spool: Keeps what is not delivered yet.
        clock: For the times of events and logs.
        on_stale: Called once, with the server's words, when the attempt is no longer ours.
    """

    def __init__(
        self, reporter: Reporter, spool: Spool, clock: Clock, on_stale: Callable[[str], None]
    ) -> None:
        self._reporter = reporter
        self._clock = clock
        self._on_stale = on_stale
        self._over = asyncio.Event()
        self.spool = spool

    @property
    def is_over(self) -> bool:
        """Nothing more is to be told: the server has the result, or wants none."""
        return self._over.is_set()

    def phase(self, name: str) -> None:
        """Say what the attempt is busy with; goes in a moment."""
        self.spool.set_phase(name)
        self._reporter.wake(self)

    def event(
        self,
        kind: EventType,
        msg: str | int,
        payload: dict[str, Any] | None = None,
        *,
        mark: EventMark | None = None,
        may_end: bool = True,
    ) -> None:
        """Say what happened; STARTED goes in a moment, progress replaces unsent progress.

        See `Spool.add_event` for the place that it came from.
        """
        t_us = microseconds(self._clock.now())
        self.spool.add_event(kind, msg, payload or {}, t_us, mark=mark, may_end=may_end)
        self._reporter.wake(self)

    def log(self, piece: Piece) -> None:
        """Pass a piece of output on."""
        if piece.text:
            t_us = microseconds(self._clock.now())
            self.spool.add_log(piece.stream, piece.text, t_us, piece.mark)
            self._reporter.wake(self)

    async def result(self, result: Result) -> None:
        """Say how the attempt ended, and wait until the server has it or no longer wants it."""
        if not self._over.is_set():
            self.spool.set_result(result)
            self._reporter.wake(self)
            await self._over.wait()

    def discard(self, why: str) -> None:
        """The attempt is no longer ours: say nothing more."""
        if not self.is_over:
            self._over.set()
            self._on_stale(why)

    def end(self) -> None:
        """The result was delivered, or nobody will ever take one."""
        self._over.set()


class Reporter:
    """Delivers for all attempts of this worker.

    Args:
        server: Where to.
        worker_id: Who we are.
        session_id: Of this process.
        clock: For pauses.
        draw: Jitter of the pauses.
        watcher: Is told what concerns the worker as a whole.
        on_cursors: Called with run, fence and what is about to be sent, before it is sent for the
            first time, so that a successor can go on from there.
    """

    def __init__(  # noqa: PLR0913  the composition root names every part
        self,
        server: ServerPort,
        worker_id: str,
        session_id: str,
        *,
        clock: Clock,
        draw: random.Random,
        watcher: Watcher,
        on_cursors: Callable[[str, int, Cursors], None],
    ) -> None:
        self._server = server
        self._worker_id = worker_id
        self._session_id = session_id
        self._clock = clock
        self._backoff = Backoff(draw)
        self._watcher = watcher
        self._on_cursors = on_cursors
        self._waiting: dict[AttemptReport, None] = {}
        self._something = asyncio.Event()
        self._urgent = asyncio.Event()
        self._final = asyncio.Event()
        self._last_sent_s = clock.monotonic() - COALESCE_S

    def open(
        self,
        run_id: str,
        fence: int,
        token: str,
        on_stale: Callable[[str], None],
        past: Cursors = NOTHING,
    ) -> AttemptReport:
        """Begin to report for an attempt, or go on behind what the server has of it."""
        return AttemptReport(self, Spool(run_id, fence, token, past), self._clock, on_stale)

    def wake(self, attempt: AttemptReport) -> None:
        """An attempt has something to say."""
        if attempt.is_over:
            return
        self._waiting[attempt] = None
        self._something.set()
        self._note_haste(attempt.spool)

    async def deliver(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._something.wait()
            await happens_within(self._clock, GATHER_S, self._final)
            pause_s = self._last_sent_s + COALESCE_S - self._clock.monotonic()
            if pause_s > 0:
                await happens_within(self._clock, pause_s, self._urgent)
            if not await self._deliver_once():
                await self._clock.sleep(self._backoff.next_s())

    async def flush(self, patience_s: float) -> None:
        """Deliver what waits, now, at most so long; for the last moments of a worker.

        `deliver` must not be running any more.
        """

        async def drained() -> None:
            while self._waiting and await self._deliver_once():
                pass

        try:
            await asyncio.wait_for(drained(), patience_s)
        except TimeoutError:
            _log.warning("the server did not take the last reports", attempts=len(self._waiting))

    async def _deliver_once(self) -> bool:
        self._urgent.clear()
        self._final.clear()
        self._last_sent_s = self._clock.monotonic()
        batch = self._next_batch()
        delivered = not batch or await self._send(batch)
        if delivered:
            self._backoff.reset()
        self._sort_out(delivered=delivered)
        return delivered

    def _next_batch(self) -> list[tuple[AttemptReport, ReportItem]]:
        batch: list[tuple[AttemptReport, ReportItem]] = []
        room = _MAX_BATCH_BYTES
        for attempt in list(self._waiting):
            if attempt.spool.is_empty or attempt.is_over:
                continue
            if room <= 0 or len(batch) >= _MAX_BATCH_ITEMS:
                break
            item = self._item_of(attempt)
            room -= _rough_size(item)
            batch.append((attempt, item))
            # Those who did not fit come first the next time.
            self._waiting[attempt] = self._waiting.pop(attempt)
        return batch

    def _item_of(self, attempt: AttemptReport) -> ReportItem:
        spool = attempt.spool
        item = spool.next_item()
        cursors = spool.new_cursors()
        if cursors is not None:
            self._on_cursors(spool.run_id, spool.fence, cursors)
        return item

    async def _send(self, batch: list[tuple[AttemptReport, ReportItem]]) -> bool:
        try:
            answer = await self._server.report(self._worker_id, self._report(batch))
        except ServerAway as fault:
            if not self._backoff.failures:
                _log.warning("reports wait", why=str(fault))
            return False
        except SessionSuperseded as fault:
            self._watcher.on_superseded(fault)
            return False
        except WorkerUnknown:
            self._watcher.on_unknown()
            return False
        except ServerRefused as fault:
            return await self._send_apart(batch, fault)
        return self._take_answers(batch, answer)

    async def _send_apart(
        self, batch: list[tuple[AttemptReport, ReportItem]], fault: ServerRefused
    ) -> bool:
        # One unacceptable item must not hold up the others: halve until it stands alone.
        if len(batch) > 1:
            middle = len(batch) // 2
            first = await self._send(batch[:middle])
            return await self._send(batch[middle:]) and first
        attempt, item = batch[0]
        self._give_way(attempt, item, str(fault))
        return True

    def _report(self, batch: list[tuple[AttemptReport, ReportItem]]) -> Report:
        return Report(session_id=self._session_id, items=[item for _, item in batch])

    def _take_answers(
        self, batch: list[tuple[AttemptReport, ReportItem]], answer: Reported
    ) -> bool:
        answers = {(each.run_id, each.fence): each for each in answer.items}
        for attempt, item in batch:
            found = answers.get((item.run_id, item.fence))
            if found is not None:
                self._take_answer(attempt, item, found)
        return len(answers) >= len(batch)

    def _take_answer(self, attempt: AttemptReport, item: ReportItem, answer: ReportAnswer) -> None:
        match answer.status:
            case "OK":
                if attempt.spool.acknowledge(item):
                    attempt.end()
            case "STALE":
                _log.info("attempt is no longer ours", run=item.run_id, fence=item.fence)
                attempt.discard(answer.detail)
            case "GAP":
                attempt.spool.resume(answer)
            case "INVALID":
                self._give_way(attempt, item, answer.detail)

    def _give_way(self, attempt: AttemptReport, item: ReportItem, detail: str) -> None:
        _log.warning("the server refuses a report", run=item.run_id, why=detail)
        attempt.spool.give_way(item, detail, microseconds(self._clock.now()))
        if attempt.spool.is_hopeless:
            _log.error("a result is lost: the server takes none", run=item.run_id, why=detail)
            attempt.end()

    def _sort_out(self, *, delivered: bool) -> None:
        """Forget who has nothing to say; wake at once if somebody's matter is urgent still."""
        for attempt in list(self._waiting):
            if attempt.spool.is_empty or attempt.is_over:
                del self._waiting[attempt]
        if not self._waiting:
            self._something.clear()
        elif delivered:
            for attempt in self._waiting:
                self._note_haste(attempt.spool)

    def _note_haste(self, spool: Spool) -> None:
        if spool.is_urgent:
            self._urgent.set()
        if spool.is_urgent and spool.has_result:
            self._final.set()


def _rough_size(item: ReportItem) -> int:
    logs = sum(len(log.text) for log in item.logs)
    # An event may hold up to 64 KiB, but hardly any does; its batch is bounded by its spool.
    events = 512 * len(item.events)
    # Outputs may hold 1 MiB; asking exactly would mean writing them twice.
    result = 0 if item.result is None else 2048 + len(str(item.result.outputs))
    return logs + events + result + 256

"""Fourth stage: stay with the container until it is dead, by itself or because it was told to.

A stop is `cancel.json`, SIGTERM, the grace, SIGKILL; some orders go straight to SIGKILL. Nothing
after this stage begins before the container is confirmed dead.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, ClassVar, Final

import structlog

from gyoza.models.timestamps import format_time
from gyoza.op import protocol
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.followers import EventFollower, LogFollower, watch_disk
from gyoza.worker.execution.resumed import Resumed
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.stop import StopKind, StopOrder
from gyoza.worker.logs import Piece
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerState,
    EngineUnavailable,
    RuntimeFault,
)
from gyoza.worker.waiting import Backoff, end, first_of

PHASE: Final = "STOPPING"
LOG_PATIENCE_S: Final = 2.0
LATE_LOG_PATIENCE_S: Final = 60.0
UNKILLABLE_AFTER_S: Final = 120.0
KILL_AGAIN_EVERY_S: Final = 10.0
ENGINE_PATIENCE_S: Final = 600.0
ENGINE_WELL_AFTER_S: Final = 30.0
_BY_SIGNAL: Final = 128
_MAY_BE_MISSING: Final = "may be missing: the worker was started again and has lost its journal"
_log = structlog.stdlib.get_logger(__name__)


class FollowOutput:
    """Waits for the end of the container, beside those who read what it writes.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "follow_output"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = False

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        if context.resumed is not None:
            await self._go_on(context, context.resumed)
        logs = LogFollower(context, self._services)
        events = EventFollower(context, self._services)
        reading = asyncio.ensure_future(logs.follow())
        beside = [
            asyncio.ensure_future(events.follow()),
            asyncio.ensure_future(watch_disk(context, self._services)),
            asyncio.ensure_future(self._watch_time(context)),
        ]
        try:
            state = await self._end_of(context)
            context.state, context.exit_code = state, state.exit_code
            await end(*beside)
            await self._look_for_others(context, state)
            await events.finish()
            await first_of(
                asyncio.wait([reading]), self._services.clock.sleep(_patience_s(context))
            )
            logs.finish(is_whole=reading.done())
        finally:
            await end(reading, *beside)
            events.close()

    async def _go_on(self, context: ExecutionContext, resumed: Resumed) -> None:
        """Say what could not be read on, and what could not be said any more."""
        if resumed.past.event_mark is None and resumed.state.started_at is not None:
            context.tell_started()
        if resumed.lost_events:
            context.report.event("INFO", f"events up to {_now(self._services)} {_MAY_BE_MISSING}")
        if resumed.lost_logs:
            words = f"[gyoza: output up to {_now(self._services)} {_MAY_BE_MISSING}]\n"
            context.report.log(Piece("system", words))

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: `enter` lets go of everything itself."""

    async def _end_of(self, context: ExecutionContext) -> ContainerState:
        if context.resumed is not None and _had_ended(context):
            context.carried_out = context.resumed.order
            return await self._wait(context)
        waiting = asyncio.ensure_future(self._wait(context))
        try:
            await first_of(asyncio.wait([waiting]), context.stop.requested.wait())
            if not waiting.done():
                await self._stop(context, waiting)
            return await waiting
        finally:
            await end(waiting)

    async def _wait(self, context: ExecutionContext) -> ContainerState:
        """Wait for the end, across restarts of the engine."""
        clock = self._services.clock
        backoff = Backoff(self._services.draw, most_s=5.0)
        lost_s: float | None = None
        while True:
            asked_s = clock.monotonic()
            try:
                return await self._services.runtime.wait(context.container)
            except ContainerGone:
                raise
            except RuntimeFault as fault:
                context.engine_broke = True
                now_s = clock.monotonic()
                if lost_s is None or now_s - asked_s > ENGINE_WELL_AFTER_S:
                    lost_s = now_s
                if now_s - lost_s > ENGINE_PATIENCE_S:
                    raise StageFailure("ENGINE_FAILURE", f"the engine is lost: {fault}") from fault
                await clock.sleep(backoff.next_s())

    async def _look_for_others(self, context: ExecutionContext, state: ContainerState) -> None:
        """Find out who sent the signal that the container ended by, if no order of ours did."""
        number = (state.exit_code or 0) - _BY_SIGNAL
        if number <= 0 or context.carried_out is not None or state.oom_killed:
            return
        try:
            seen = await self._services.runtime.signals_seen(context.container, state)
            context.killed_by_others = number in seen
            # An engine that was started again remembers no signal that its predecessor sent, and a
            # process that slept meanwhile has seen neither go.
            process = (await self._services.runtime.fingerprint()).process
            context.engine_broke |= self._is_another_engine(context, process)
        except EngineUnavailable:
            # An engine that ends takes its containers along just before it stops to answer.
            context.engine_broke = True
        except RuntimeFault as fault:
            _log.info("who ended it is not known", run=context.oprun_id, why=str(fault))

    def _is_another_engine(self, context: ExecutionContext, process: str) -> bool:
        assignment, journal = context.assignment, self._services.journal
        if process:
            journal.engine(process)
        return journal.has_seen_another_engine(assignment.run_id, assignment.fence)

    async def _watch_time(self, context: ExecutionContext) -> None:
        run_s = context.settings.timeouts.run_s
        if run_s is not None and not _had_ended(context):
            await self._services.clock.sleep(run_s - context.age_s(self._services.clock.now()))
            message = f"the op ran for longer than {run_s:g} s; raise timeouts.run_s if it may"
            context.stop.request(StopOrder(StopKind.RUN_TIMEOUT, message))

    async def _stop(
        self, context: ExecutionContext, waiting: asyncio.Future[ContainerState]
    ) -> None:
        context.report.phase(PHASE)
        self._note_order(context)
        if not context.stop.at_once.is_set():
            await self._ask(context)
            await first_of(
                asyncio.wait([waiting]),
                context.stop.at_once.wait(),
                self._services.clock.sleep(_grace_s(context)),
            )
        if not waiting.done():
            await self._kill(context, waiting)
        context.carried_out = context.stop.order

    def _note_order(self, context: ExecutionContext) -> None:
        # Before it is carried out: a successor must know why the container has ended.
        order = context.stop.order
        if order is not None:
            run_id, fence = context.assignment.run_id, context.assignment.fence
            self._services.journal.stopping(run_id, fence, order.to_dict())

    async def _ask(self, context: ExecutionContext) -> None:
        """Tell the op why and until when, then that it shall end."""
        order = context.stop.order
        try:
            await asyncio.to_thread(
                context.folder.write_in, protocol.CANCEL_FILE, self._cancellation(context, order)
            )
            await self._services.runtime.signal(context.container, "SIGTERM")
        except (RuntimeFault, OSError) as error:
            # Whatever became of the request, the kill comes when the grace is over.
            _log.warning("could not ask to end", run=context.oprun_id, why=str(error))

    def _cancellation(self, context: ExecutionContext, order: StopOrder | None) -> dict[str, Any]:
        ends = self._services.clock.now() + timedelta(seconds=_grace_s(context))
        return {
            "reason": order.kind.name if order else StopKind.CANCEL.name,
            "message": order.message if order else "",
            "deadline": format_time(ends),
        }

    async def _kill(
        self, context: ExecutionContext, waiting: asyncio.Future[ContainerState]
    ) -> None:
        self._note_order(context)
        clock = self._services.clock
        began_s = clock.monotonic()
        while not waiting.done():
            if clock.monotonic() - began_s > UNKILLABLE_AFTER_S:
                raise self._unkillable(context)
            try:
                await self._services.runtime.kill(context.container)
            except RuntimeFault as fault:
                _log.warning("could not kill", run=context.oprun_id, why=str(fault))
            await first_of(asyncio.wait([waiting]), clock.sleep(KILL_AGAIN_EVERY_S))

    def _unkillable(self, context: ExecutionContext) -> StageFailure:
        name = context.container.name
        self._services.health.quarantine(
            f"container {name} does not die; look for its processes with `docker top {name}`, "
            "then restart the worker"
        )
        after_s = UNKILLABLE_AFTER_S
        return StageFailure(
            "ENGINE_FAILURE", f"container {name} is alive {after_s:g} s after SIGKILL"
        )


def _patience_s(context: ExecutionContext) -> float:
    return LATE_LOG_PATIENCE_S if _had_ended(context) else LOG_PATIENCE_S


def _had_ended(context: ExecutionContext) -> bool:
    """The container was dead already when this process found it."""
    return context.resumed is not None and context.resumed.state.has_ended


def _now(services: Services) -> str:
    return format_time(services.clock.now())


def _grace_s(context: ExecutionContext) -> float:
    return min(context.settings.grace_s, protocol.MAX_GRACE_S)

"""Sixth stage, always: decide how the attempt ended and stay until the server knows."""

from __future__ import annotations

from typing import ClassVar, Final

import structlog

from gyoza.wire.messages import Release, ReleaseItem
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.outcome import Evidence, classify, warnings
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.stop import StopKind
from gyoza.worker.reporting import microseconds
from gyoza.worker.server_port import ServerAway, ServerRefused
from gyoza.worker.waiting import Backoff

_TRIES_TO_RELEASE: Final = 5
_log = structlog.stdlib.get_logger(__name__)


class ReportResult:
    """Reports the result, gives the assignment back, or says nothing: as the order was.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "report_result"
    is_always_entered: ClassVar[bool] = True
    is_interruptible: ClassVar[bool] = False

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        order = context.carried_out
        if order is not None and order.kind is StopKind.DISCARD:
            return
        if order is not None and order.kind is StopKind.RELEASE:
            await self._release(context)
            return
        evidence = self._evidence(context)
        for warning in warnings(evidence):
            context.report.event("ERROR", warning)
        result = classify(evidence)
        _log.info(
            "attempt ended", run=context.oprun_id, outcome=result.outcome, reason=result.reason
        )
        await context.report.result(result)

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: nothing is held."""

    def _evidence(self, context: ExecutionContext) -> Evidence:
        return Evidence(
            finished_at_us=microseconds(self._services.clock.now()),
            stop=context.carried_out,
            failure=context.failure,
            state=context.state,
            engine_broke=context.engine_broke,
            killed_by_others=context.killed_by_others,
            declares_outputs=bool(context.output_specs.specs),
            output=context.output,
            error=context.error,
            log_tail="".join(context.logs),
            image_digest=context.image_digest,
        )

    async def _release(self, context: ExecutionContext) -> None:
        """Give the assignment back; if the server cannot be told, it finds out by itself."""
        services, assignment = self._services, context.assignment
        item = ReleaseItem(
            run_id=assignment.run_id,
            fence=assignment.fence,
            token=assignment.token,
            reason="the worker is draining",
        )
        message = Release(session_id=services.identity.session_id, items=[item])
        backoff = Backoff(services.draw)
        for _ in range(_TRIES_TO_RELEASE):
            try:
                await services.server.release(services.identity.worker_id, message)
            except ServerAway:
                await services.clock.sleep(backoff.next_s())
            except ServerRefused as fault:
                _log.info("release refused", run=context.oprun_id, why=str(fault))
                return
            else:
                return

"""One attempt from assignment to clean machine, as an ordered list of stages.

    prepare_workdir -> resolve_image -> start_container -> follow_output -> collect_outputs
          |                  |                |                  |                |
          +--- a failure or an order to stop leaves out the rest of this line ----+
                                              |
                                     report_result -> clean_up        (always)

An attempt taken over from an earlier process of this worker begins at the stage it had reached.
Each stage is idempotent. `enter` does its work; `exit` lets go of what the stage holds in this
process (descriptors, locks, tasks), in reverse order, however the attempt went. What is left on the
machine goes in `clean_up`, and only after the result was acknowledged. A failure names its stage;
an exception that no stage foresaw is `WORKER_ERROR`, never the user's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import ClassVar, Protocol

import structlog

from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.failures import StageFailure, of_fault
from gyoza.worker.runtime.interface import RuntimeFault
from gyoza.worker.waiting import end

_log = structlog.stdlib.get_logger(__name__)


class Stage(Protocol):
    """One step.

    Attributes:
        name: As failures name it.
        is_always_entered: Also after a failure or an order to stop.
        is_interruptible: An order to stop cancels `enter`; otherwise the stage sees to it itself.
    """

    name: ClassVar[str]
    is_always_entered: ClassVar[bool]
    is_interruptible: ClassVar[bool]

    async def enter(self, context: ExecutionContext) -> None:
        """Do the work; may be repeated.

        Raises:
            StageFailure: The attempt cannot go on.
            RuntimeFault: The engine could not do its part.
        """
        ...

    async def exit(self, context: ExecutionContext) -> None:
        """Let go of what `enter` holds in this process, even if it did not finish."""
        ...


class Pipeline:
    """Stages in order.

    Args:
        stages: First to last.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    async def run(self, context: ExecutionContext, begin_at: str = "") -> None:
        """Carry an attempt through; never raises for anything that happens to the attempt.

        Args:
            context: The attempt.
            begin_at: Name of the stage to begin at, for an attempt that an earlier process has
                begun; "" for the first.
        """
        names = [stage.name for stage in self._stages]
        first = names.index(begin_at) if begin_at else 0
        async with AsyncExitStack() as unwinding:
            for stage in self._stages[first:]:
                if stage.is_interruptible:
                    _heed(context)
                if stage.is_always_entered or not context.is_over:
                    unwinding.push_async_callback(stage.exit, context)
                    await self._enter(stage, context)

    async def _enter(self, stage: Stage, context: ExecutionContext) -> None:
        try:
            if stage.is_interruptible:
                await _enter_until_stopped(stage, context)
            else:
                await stage.enter(context)
        except StageFailure as failure:
            _note(context, stage, failure)
        except RuntimeFault as fault:
            _note(context, stage, of_fault(fault))
        except Exception as error:  # noqa: BLE001  whatever breaks, the attempt gets its result
            _log.exception("a stage broke", stage=stage.name, run=context.oprun_id)
            words = f"the worker failed in stage {stage.name}: {type(error).__name__}: {error}"
            _note(context, stage, StageFailure("WORKER_ERROR", words))


async def _enter_until_stopped(stage: Stage, context: ExecutionContext) -> None:
    work = asyncio.ensure_future(stage.enter(context))
    stop = asyncio.ensure_future(context.stop.requested.wait())
    try:
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
        # An order that came in the same moment counts, as long as the op has not begun.
        if not work.done() or not context.has_started:
            _heed(context)
    finally:
        await end(work, stop)


def _heed(context: ExecutionContext) -> None:
    if context.carried_out is None and context.failure is None:
        context.carried_out = context.stop.order


def _note(context: ExecutionContext, stage: Stage, failure: StageFailure) -> None:
    failure.stage = stage.name
    if context.failure is None:
        context.failure = failure
    _log.info("stage failed", stage=stage.name, run=context.oprun_id, reason=failure.reason)

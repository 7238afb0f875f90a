"""One assignment in this worker's hands, from taking it to having nothing left of it.

The way itself is the pipeline's; here it is only begun, watched for its deadline, and stopped.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from gyoza.models import Constraints, InputSpecs, OutputSpecs
from gyoza.models import Execution as ExecutionSettings
from gyoza.op import protocol
from gyoza.wire.messages import Assignment, Held
from gyoza.worker.cursors import NOTHING
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.pipeline import Pipeline
from gyoza.worker.execution.resumed import Resumed
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.stop import StopKind, StopOrder
from gyoza.worker.execution.workdir import WorkFolder
from gyoza.worker.reporting import Reporter
from gyoza.worker.waiting import end

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What the server decides besides a caller's cancel, and has the worker carry out.
_ORDERED = {kind.name: kind for kind in (StopKind.TOTAL_TIMEOUT, StopKind.PREEMPTED)}


class Execution:
    """Carries out one assignment.

    Args:
        assignment: What the server asked for.
        services: Of the worker.
        reporter: Of the worker.
        pipeline: The stages.
        resumed: What an earlier process had done; None if it is new.
    """

    def __init__(
        self,
        assignment: Assignment,
        services: Services,
        reporter: Reporter,
        pipeline: Pipeline,
        resumed: Resumed | None = None,
    ) -> None:
        self._services = services
        self._pipeline = pipeline
        past = NOTHING if resumed is None else resumed.past
        self._report = reporter.open(
            assignment.run_id, assignment.fence, assignment.token, self._on_stale, past
        )
        self.context = ExecutionContext(
            oprun_id=assignment.run_id,
            image=assignment.image,
            constraints=Constraints(),
            inputs=assignment.inputs,
            outputs={},
            env_vars={},
            volumes=[],
            logs=[],
            exit_code=None,
            extras={},
            assignment=assignment,
            settings=ExecutionSettings(),
            output_specs=OutputSpecs(),
            folder=WorkFolder.of(
                services.state_dir, assignment.run_id, assignment.attempt, assignment.fence
            ),
            report=self._report,
            deadline=_deadline(assignment, services.server_ahead_us),
        )
        _read_settings(self.context)
        if resumed is not None:
            _take_over(self.context, resumed)

    @property
    def held(self) -> Held:
        """As heartbeats name it."""
        assignment = self.context.assignment
        return Held(run_id=assignment.run_id, fence=assignment.fence)

    @property
    def folder_name(self) -> str:
        """Its folder's, among those of all runs."""
        return self.context.folder.path.name

    @property
    def is_stopping(self) -> bool:
        """Whether it has been told to end."""
        return self.context.stop.requested.is_set()

    async def run(self) -> None:
        """Carry it out; returns when nothing is left of it here."""
        assignment = self.context.assignment
        if assignment.cancel is not None:
            self.cancel(assignment.cancel.reason, assignment.cancel.message)
        watch = asyncio.ensure_future(self._watch_deadline())
        try:
            await self._pipeline.run(self.context, _first_stage(self.context))
        finally:
            await end(watch)

    def cancel(self, reason: str, message: str) -> None:
        """Stop gracefully and report, as the server ordered."""
        kind = _ORDERED.get(reason, StopKind.CANCEL)
        self.context.stop.request(StopOrder(kind, message or reason))

    def discard(self, why: str) -> None:
        """Stop at once and report nothing: it is not ours any more."""
        self._report.discard(why)

    def release(self) -> None:
        """Give it back, if its container has not been started."""
        if not self.context.has_started:
            self.context.stop.request(StopOrder(StopKind.RELEASE))

    def shut_down(self) -> None:
        """Stop at once and report that it was this worker's doing."""
        self.context.stop.request(StopOrder(StopKind.SHUTDOWN))

    def _on_stale(self, why: str) -> None:
        self.context.stop.request(StopOrder(StopKind.DISCARD, why))

    async def _watch_deadline(self) -> None:
        deadline = self.context.deadline
        if deadline is not None:
            left = deadline - self._services.clock.now()
            await self._services.clock.sleep(left.total_seconds())
            message = "the run is over its total time; raise timeouts.total_s if it may take longer"
            self.context.stop.request(StopOrder(StopKind.TOTAL_TIMEOUT, message))


def _take_over(context: ExecutionContext, resumed: Resumed) -> None:
    context.resumed, context.handle, context.image_info = resumed, resumed.handle, resumed.image
    context.has_started = resumed.state.started_at is not None
    context.engine_broke = resumed.engine_broke
    if resumed.order is not None:
        context.stop.request(resumed.order)


def _first_stage(context: ExecutionContext) -> str:
    """Where to go on; what has been done up to there is not done again."""
    if context.resumed is None:
        return ""
    if context.has_started or context.resumed.state.has_ended:
        return "follow_output"
    return "resolve_image" if (context.folder.inner / protocol.INPUT_FILE).exists() else ""


def _deadline(assignment: Assignment, server_ahead_us: int) -> datetime | None:
    if assignment.deadline_us is None:
        return None
    return _EPOCH + timedelta(microseconds=assignment.deadline_us - server_ahead_us)


def _read_settings(context: ExecutionContext) -> None:
    assignment = context.assignment
    try:
        context.constraints = Constraints.from_dict(_known_resources(assignment.granted))
        context.settings = ExecutionSettings.from_dict(assignment.execution)
        context.output_specs = OutputSpecs.from_dict(assignment.output_specs)
        InputSpecs.from_dict(assignment.input_specs)
    except ValueError as error:
        # A server of another version may say what this worker cannot read.
        context.failure = StageFailure(
            "WORKER_ERROR", f"this worker does not understand the assignment: {error}"
        )
        context.failure.stage = "read_assignment"


def _known_resources(granted: dict[str, Any]) -> dict[str, Any]:
    return {name: granted.get(name) for name in ("cpu", "ram_mb", "vram_mb")}

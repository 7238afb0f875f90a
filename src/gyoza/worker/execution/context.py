"""What the stages of one attempt share: what was asked, what has been done, what was found.

Mutable on purpose: each stage reads what earlier ones left and adds its own. Only values live here;
what the stages work with is in `services`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gyoza.models import Constraints, Execution, OutputSpecs
from gyoza.wire.messages import Assignment
from gyoza.worker.event_lines import START
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.outcome import OpError, Output
from gyoza.worker.execution.resumed import Resumed
from gyoza.worker.execution.stop import StopOrder, StopSignal
from gyoza.worker.execution.workdir import WorkFolder
from gyoza.worker.reporting import AttemptReport
from gyoza.worker.runtime.interface import ContainerHandle, ContainerState, ImageInfo, Mount


@dataclass(slots=True)
class ExecutionContext:
    """One attempt on its way through the pipeline.

    Args:
        oprun_id: The run.
        image: As the run names it; from `resolve_image` on, as this machine finds it.
        constraints: What was granted.
        inputs: As the op will read them; files become paths inside the container.
        outputs: What the op returned; empty until they are collected.
        env_vars: The container's variables.
        volumes: What the container sees of this machine.
        logs: The last words on the container's streams.
        exit_code: None until the container has ended.
        extras: Room for stages of other makers; none of ours reads it.
        assignment: What the server asked for.
        settings: How the container is started and bounded.
        output_specs: What the op declares to return.
        folder: On this machine.
        report: To the server.
        stop: Where orders to end early arrive.
        deadline: When the op will be asked to end, by the worker's clock; None for never.
        image_info: The image found.
        handle: The container made.
        has_started: The container is about to run, or has run.
        resumed: What an earlier process of this worker had done of it; None if it is new.
        state: The container's end.
        engine_broke: The engine went away while the container ran.
        killed_by_others: Somebody else had the engine send the signal that ended it.
        output: What was collected.
        error: The op's own word on its failure.
        failure: The stage that could not go on.
        carried_out: The order that did end it early.
    """

    oprun_id: str
    image: str
    constraints: Constraints
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    env_vars: dict[str, str]
    volumes: list[Mount]
    logs: list[str]
    exit_code: int | None
    extras: dict[str, Any]
    assignment: Assignment
    settings: Execution
    output_specs: OutputSpecs
    folder: WorkFolder
    report: AttemptReport
    stop: StopSignal = field(default_factory=StopSignal)
    deadline: datetime | None = None
    image_info: ImageInfo | None = None
    handle: ContainerHandle | None = None
    has_started: bool = False
    state: ContainerState | None = None
    engine_broke: bool = False
    killed_by_others: bool = False
    resumed: Resumed | None = None
    output: Output | None = None
    error: OpError | None = None
    failure: StageFailure | None = None
    carried_out: StopOrder | None = None

    @property
    def container(self) -> ContainerHandle:
        """The container made.

        Raises:
            StageFailure: There is none: a stage was left out.
        """
        if self.handle is None:
            raise StageFailure("WORKER_ERROR", "there is no container yet")
        return self.handle

    @property
    def image_digest(self) -> str | None:
        """What runs: the registry's digest, else the local image id; None if it is not known."""
        info = self.image_info
        return None if info is None else info.repo_digest or info.id

    def age_s(self, now: datetime) -> float:
        """Seconds for which the container had run when this process took it over; else 0.

        By the wall clock, the only one that engine, earlier process and this one share.
        """
        if self.resumed is None or self.resumed.state.started_at is None:
            return 0.0
        return max(0.0, (now - self.resumed.state.started_at).total_seconds())

    def tell_started(self) -> None:
        """Report that the container runs; nothing that it says itself is known before."""
        payload = {"image_digest": self.image_digest, "gpu_uuid": self.assignment.gpu_uuid}
        self.report.event("STARTED", "container started", payload, mark=START)

    @property
    def is_over(self) -> bool:
        """Nothing more is to be tried: a stage failed, or an order ended the attempt."""
        return self.failure is not None or self.carried_out is not None

"""One attempt without a server: the worker's own pipeline over any runtime.

The stages, limits and verdicts are the worker's; here they are only put together, and others may be
put between them. Where containers come from is the caller's choice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from gyoza.models import OpDefinition
from gyoza.models.ids import new_id
from gyoza.op import protocol
from gyoza.testing.local_server import LocalServer, Watcher
from gyoza.testing.results import RunResult, result_from
from gyoza.wire.messages import Assignment
from gyoza.worker.clock import Clock, SystemClock
from gyoza.worker.execution.execution import Execution
from gyoza.worker.execution.pipeline import Pipeline, Stage
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.stages.follow_output import FollowOutput
from gyoza.worker.execution.stages.start_container import StartContainer
from gyoza.worker.health import Health
from gyoza.worker.identity import Identity
from gyoza.worker.journal import Journal
from gyoza.worker.main import stages
from gyoza.worker.reporting import Reporter, microseconds
from gyoza.worker.runtime.interface import ContainerRuntime
from gyoza.worker.server_port import SessionSuperseded

DEFAULT_CPU: Final = 1
DEFAULT_RAM_MB: Final = 512
"""What a server reserves for a run that names none: `server.settings`."""

_STORE: Final = "store"
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run.

    Attributes:
        definition: The op: image, specs, resources and execution.
        inputs: Prepared: defaults filled in, files replaced by the values that stand for them.
        files: Paths of the input files, by sha256.
        folder: Where the op's files go.
        run_id: As the op will know its run; "" makes one up.
    """

    definition: OpDefinition
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    folder: Path
    run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where an attempt is carried out.

    Attributes:
        runtime: Runs containers, or what stands for them.
        state_dir: Folder of this attempt alone; it must exist.
        user: Numbers of the user and group that ops run as.
        watcher: Is told how it goes on; None when nobody looks.
        clock: For times and pauses.
        before_start: Stages that see the folder with its inputs, before there is a container.
        beside: Stages that see the container running; what they begin ends with the attempt.
        after_end: Stages that see the dead container, and `out/` as the op left it.
    """

    runtime: ContainerRuntime
    state_dir: Path
    user: tuple[int, int] = (protocol.CONTAINER_UID, protocol.CONTAINER_GID)
    watcher: Watcher | None = None
    clock: Clock = field(default_factory=SystemClock)
    before_start: tuple[Stage, ...] = ()
    beside: tuple[Stage, ...] = ()
    after_end: tuple[Stage, ...] = ()


class LocalAttempt:
    """Carries out one order; use it once, inside an event loop.

    Args:
        order: What to run.
        bench: Where.
    """

    def __init__(self, order: Order, bench: Bench) -> None:
        self._order = order
        store = bench.state_dir / _STORE
        store.mkdir()
        self._server = LocalServer(order.files, store, bench.watcher)
        self._services = _services(bench, self._server)
        self._reporter = Reporter(
            self._server,
            self._services.identity.worker_id,
            self._services.identity.session_id,
            clock=bench.clock,
            draw=self._services.draw,
            watcher=_Nobody(),
            on_cursors=self._services.journal.reached,
        )
        assignment = _assignment(order, bench.clock)
        pipeline = Pipeline(_stages(self._services, bench))
        self._execution = Execution(assignment, self._services, self._reporter, pipeline)

    async def run(self) -> RunResult:
        """Carry it out; nothing of it but the op's files is left afterwards."""
        delivering = asyncio.ensure_future(self._reporter.deliver())
        carrying = asyncio.ensure_future(self._execution.run())
        try:
            await asyncio.shield(carrying)
        except asyncio.CancelledError:
            # No container may outlive us: nobody would ever look for it.
            self.stop_now()
            await carrying
            raise
        finally:
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering
            self._services.journal.close()
        return await asyncio.to_thread(self._result)

    def cancel(self, message: str) -> None:
        """Ask the op to end, as a caller of a server would."""
        self._execution.cancel("CANCELLED", message)

    def stop_now(self) -> None:
        """End it without asking."""
        self._execution.shut_down()

    def _result(self) -> RunResult:
        server = self._server
        if server.result is None:
            raise AssertionError("the pipeline ended without a result")
        return result_from(
            server.result,
            files=server.place(server.result.artifacts, self._order.folder),
            events=server.events,
            logs=[(each.stream, each.text) for each in server.logs],
        )


OnAttempt = Callable[[LocalAttempt], None]
"""Gets an attempt before it begins, to stop it by."""


@contextmanager
def quiet() -> Generator[None]:
    """Keep the worker's own log from standard output, unless the process has said where it goes."""
    if structlog.is_configured():
        yield
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.reset_defaults()


def container_user() -> tuple[int, int]:
    """Whom a worker of this user would run ops as."""
    if os.geteuid() == 0:
        return protocol.CONTAINER_UID, protocol.CONTAINER_GID
    return os.geteuid(), os.getegid()


class _Nobody:
    """The server of one attempt knows no other worker, and never forgets this one."""

    def on_superseded(self, fault: SessionSuperseded) -> None:
        """See `Watcher.on_superseded` of the reporter."""

    def on_unknown(self) -> None:
        """See `Watcher.on_unknown` of the reporter."""


def _services(bench: Bench, server: LocalServer) -> Services:
    now = bench.clock.now()
    worker_id = new_id("wrk", now=now)
    return Services(
        runtime=bench.runtime,
        server=server,
        clock=bench.clock,
        journal=Journal(bench.state_dir),
        identity=Identity(worker_id, "local", "local", worker_id),
        health=Health(),
        state_dir=bench.state_dir,
        container_uid=bench.user[0],
        container_gid=bench.user[1],
        starting=asyncio.Semaphore(1),
        draw=random.SystemRandom(),
        cluster_id="local",
    )


def _stages(services: Services, bench: Bench) -> list[Stage]:
    found: list[Stage] = []
    for stage in stages(services):
        if isinstance(stage, StartContainer):
            found += [*bench.before_start, stage, *bench.beside]
        elif isinstance(stage, FollowOutput):
            found += [stage, *bench.after_end]
        else:
            found.append(stage)
    return found


def _assignment(order: Order, clock: Clock) -> Assignment:
    op, now = order.definition, clock.now()
    total_s = op.execution.timeouts.total_s
    deadline_us = None if total_s is None else microseconds(now) + round(total_s * _MICROSECONDS)
    granted = op.constraints.to_dict()
    granted["cpu"] = granted["cpu"] or DEFAULT_CPU
    granted["ram_mb"] = granted["ram_mb"] or DEFAULT_RAM_MB
    return Assignment(
        run_id=order.run_id or new_id("run", now=now),
        attempt=1,
        fence=1,
        token="local",  # noqa: S106 - nobody else writes to this server
        image=op.image,
        inputs=dict(order.inputs),
        granted=granted,
        execution=op.execution.to_dict(),
        output_specs=op.output_specs.to_dict(),
        input_specs=op.input_specs.to_dict(),
        image_digest=op.image_digest,
        op_definition=op.id,
        op_version=op.version,
        deadline_us=deadline_us,
    )

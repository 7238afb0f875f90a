"""Puts a worker together from its settings, and ties it to the process's signals.

The one place that reads the environment, the clock and chance; every other part is handed them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import structlog
from pydantic import ValidationError

import gyoza
from gyoza.op import protocol
from gyoza.wire.messages import Capacity, Register
from gyoza.worker.agent import Agent
from gyoza.worker.capacity import offered
from gyoza.worker.clock import SystemClock
from gyoza.worker.execution.pipeline import Pipeline, Stage
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.stages.clean_up import CleanUp
from gyoza.worker.execution.stages.collect_outputs import CollectOutputs
from gyoza.worker.execution.stages.follow_output import FollowOutput
from gyoza.worker.execution.stages.prepare_workdir import PrepareWorkdir
from gyoza.worker.execution.stages.report_result import ReportResult
from gyoza.worker.execution.stages.resolve_image import ResolveImage
from gyoza.worker.execution.stages.start_container import StartContainer
from gyoza.worker.gpu import NOTHING, DeclaredGpus, Gpus, declared_gpus
from gyoza.worker.health import Health
from gyoza.worker.identity import (
    HAND_OVER,
    Identity,
    IdentityDamaged,
    StateFolderTaken,
    load_identity,
    owned_state_folder,
)
from gyoza.worker.journal import Journal
from gyoza.worker.nvml import NvmlGpus, nvml_library
from gyoza.worker.runtime.docker import DEFAULT_SOCKET, DockerRuntime
from gyoza.worker.runtime.interface import ContainerRuntime, RuntimeFault
from gyoza.worker.runtime.registry_auth import registry_auth
from gyoza.worker.server_http import HttpServer
from gyoza.worker.server_port import ServerFault, ServerPort
from gyoza.worker.settings import WorkerSettings

STARTS_PER_CORE: Final = 2
MAX_THREADS: Final = 256
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
_log = structlog.stdlib.get_logger(__name__)


def start() -> None:
    """Run a worker with settings from the environment until a signal ends it.

    Raises:
        SystemExit: It cannot start, or the server wants nothing of it.
    """
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        problems = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
        _give_up(f"the worker's settings are wrong: {problems}", EXIT_USAGE)
    _configure_logs(settings.log_level)
    try:
        with owned_state_folder(
            settings.state_dir, replaces=settings.replace, sleep=time.sleep
        ) as state_dir:
            asyncio.run(_run(settings, state_dir))
    except (StateFolderTaken, IdentityDamaged, RuntimeFault, ServerFault) as error:
        _give_up(str(error), EXIT_FAILURE)


def stages(services: Services) -> list[Stage]:
    """The way of an attempt, first to last."""
    return [
        PrepareWorkdir(services),
        ResolveImage(services),
        StartContainer(services),
        FollowOutput(services),
        CollectOutputs(services),
        ReportResult(services),
        CleanUp(services),
    ]


def assemble(
    settings: WorkerSettings,
    state_dir: Path,
    *,
    runtime: ContainerRuntime,
    server: ServerPort,
    capacity: Capacity,
    gpus: Gpus | None = None,
) -> tuple[Agent, Services]:
    """Put the parts together.

    Args:
        settings: What the operator said.
        state_dir: Owned by this process.
        runtime: Runs containers.
        server: Where assignments come from.
        capacity: What to offer.
        gpus: Where to look at the GPUs in it; None when they cannot change.
    """
    clock, draw = SystemClock(), random.SystemRandom()
    identity = load_identity(state_dir, now=clock.now())
    uid, gid = container_user(os.geteuid(), os.getegid())
    services = Services(
        runtime=runtime,
        server=server,
        clock=clock,
        journal=Journal(state_dir),
        identity=identity,
        health=Health(),
        state_dir=state_dir,
        container_uid=uid,
        container_gid=gid,
        starting=asyncio.Semaphore(STARTS_PER_CORE * (os.cpu_count() or 1)),
        draw=draw,
        file_cache_mb=settings.file_cache_mb,
        dev_sources=settings.dev_sources,
        gpus=gpus or DeclaredGpus(capacity.gpus),
    )
    agent = Agent(
        services,
        Pipeline(stages(services)),
        present=lambda: registration(settings, identity, capacity),
        draw=draw,
    )
    return agent, services


def registration(settings: WorkerSettings, identity: Identity, capacity: Capacity) -> Register:
    """How this worker presents itself."""
    return Register(
        worker_id=identity.worker_id,
        name=settings.name,
        session_id=identity.session_id,
        machine_id=identity.machine_id,
        boot_id=identity.boot_id,
        version=gyoza.__version__,
        capacity=capacity,
        runtime=settings.runtime,
        tags=settings.tags,
    )


def container_user(euid: int, egid: int) -> tuple[int, int]:
    """Whom ops run as: root's worker uses a user that owns nothing, any other uses itself."""
    if euid == 0:
        return protocol.CONTAINER_UID, protocol.CONTAINER_GID
    return euid, egid


async def find_gpus(declared: list[int] | None) -> Gpus:
    """The GPUs to offer: what the operator declares, else what NVML finds.

    Args:
        declared: VRAM in megabytes of each; None declares nothing.
    """
    library = nvml_library() if declared is None else None
    if library is None:
        return DeclaredGpus(declared_gpus(declared or []))
    gpus = NvmlGpus(library)
    found = await gpus.look(NOTHING)
    _log.info("GPUs", found=[gpu.uuid for gpu in found])
    return gpus if gpus.has_library else DeclaredGpus()


async def _run(settings: WorkerSettings, state_dir: Path) -> None:
    # What waits for disks must not wait for each other: hashing a large file would otherwise keep
    # a stop from being written, and a heartbeat's connection from finding its address.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MAX_THREADS))
    runtime = DockerRuntime(
        settings.docker_host.removeprefix("unix://") or DEFAULT_SOCKET,
        registry_auth=partial(registry_auth, environment=os.environ),
    )
    server = HttpServer(settings.server_url, settings.worker_key)
    try:
        engine = await runtime.fingerprint()
        gpus = await find_gpus(settings.gpus)
        capacity = offered(engine, cpu=settings.cpu, ram_mb=settings.ram_mb, gpus=gpus.known)
        agent, services = assemble(
            settings, state_dir, runtime=runtime, server=server, capacity=capacity, gpus=gpus
        )
        _tie_to_signals(agent)
        try:
            await agent.run()
        finally:
            services.journal.close()
    finally:
        await server.close()
        await runtime.close()


def _tie_to_signals(agent: Agent) -> None:
    """The first signal drains, the second stops what still runs; one of its own hands over."""
    came = 0

    def on_signal() -> None:
        nonlocal came
        came += 1
        if came == 1:
            agent.drain()
        else:
            agent.stop_now()

    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal)
    loop.add_signal_handler(HAND_OVER, agent.hand_off)


def _configure_logs(level: str) -> None:
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _give_up(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(code)

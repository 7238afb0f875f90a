"""Third stage: make the container as the op and the house's policy want it, and start it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from gyoza.models.timestamps import format_time
from gyoza.op import protocol
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.dev_sources import source_mounts
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.labels import labels, room_labels
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.workdir import CONTAINER_PREFIX, WorkFolder
from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerSpec,
    EngineTimeout,
    EngineUnavailable,
    ImageNotFound,
    Mount,
    RuntimeFault,
)
from gyoza.worker.waiting import ignoring_cancellation

PHASE: Final = "STARTING"
_DEFAULT_RAM_MB: Final = 512


class StartContainer:
    """Makes and starts the container; few at a time, since the engine only gets slower beyond.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "start_container"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        context.report.phase(PHASE)
        async with self._services.starting:
            await asyncio.to_thread(self._describe, context)
            context.handle = await self._create(self._spec(context))
            self._note(context, context.handle)
            if context.stop.requested.is_set():
                return
            context.has_started = True
            await self._start_or_undo(context.handle)
        context.tell_started()

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: the container stays for `clean_up`, nothing else is held."""

    def _note(self, context: ExecutionContext, handle: ContainerHandle) -> None:
        run_id, fence = context.assignment.run_id, context.assignment.fence
        image = None if context.image_info is None else context.image_info.to_dict()
        self._services.journal.created(run_id, fence, handle.to_dict(), image)

    async def _create(self, spec: ContainerSpec) -> ContainerHandle:
        # Not to be cut off in between: clean-up must find what the engine has made.
        return await ignoring_cancellation(self._create_even_if_slow(spec))

    async def _create_even_if_slow(self, spec: ContainerSpec) -> ContainerHandle:
        runtime = self._services.runtime
        try:
            return await runtime.create(spec)
        except (EngineTimeout, EngineUnavailable):
            # It may have been made; asking once more for the same name finds it.
            return await runtime.create(spec)
        except ImageNotFound as fault:
            # It was there a moment ago, so this is nothing that the op's author has done.
            raise StageFailure(
                "ENGINE_FAILURE",
                f"image {spec.image} was removed from this machine just before it was to be used; "
                "does something prune images here?",
                detail=fault.detail,
            ) from fault

    async def _start_or_undo(self, handle: ContainerHandle) -> None:
        try:
            await ignoring_cancellation(self._start(handle))
        except (asyncio.CancelledError, RuntimeFault):
            # It may run by now, and nobody would watch it while the result waits for the server.
            if not self._services.is_leaving:
                with contextlib.suppress(RuntimeFault):
                    await self._services.runtime.remove(handle)
            raise

    async def _start(self, handle: ContainerHandle) -> None:
        runtime = self._services.runtime
        try:
            await runtime.start(handle)
        except (EngineTimeout, EngineUnavailable):
            # Starting an ended container would run the op twice: look first.
            state = await runtime.inspect(handle)
            if state.started_at is None:
                await runtime.start(handle)

    def _describe(self, context: ExecutionContext) -> None:
        """Settle what is only known now: deadline, variables, mounts; and tell the op."""
        run_s = context.settings.timeouts.run_s
        now = self._services.clock.now()
        ends = [at for at in (context.deadline, _after(now, run_s)) if at is not None]
        deadline = format_time(min(ends)) if ends else None
        context.env_vars.update(variables(context, deadline))
        context.env_vars.update(self._gpu_variables(context))
        context.volumes[:] = mounts(context.folder, has_network=context.settings.network)
        context.volumes += source_mounts(self._services.dev_sources, context.assignment)
        context.folder.write_in(protocol.CONTEXT_FILE, description(context, deadline))

    def _gpu_variables(self, context: ExecutionContext) -> dict[str, str]:
        uuid = context.assignment.gpu_uuid
        if uuid is None:
            return {}
        found = {protocol.ENV_GPU_UUID: uuid}
        for gpu in self._services.gpus.known:
            if gpu.uuid == uuid:
                found[protocol.ENV_GPU_INDEX] = str(gpu.index)
        return found

    def _spec(self, context: ExecutionContext) -> ContainerSpec:
        gpu_uuid, settings = context.assignment.gpu_uuid, context.settings
        ram_mb = context.constraints.ram_mb or _DEFAULT_RAM_MB
        return ContainerSpec(
            name=f"{CONTAINER_PREFIX}{context.folder.path.name}",
            image=context.image,
            command=settings.command,
            env=dict(context.env_vars),
            labels=labels(context, self._services) | room_labels(context),
            mounts=tuple(context.volumes),
            user=f"{self._services.container_uid}:{self._services.container_gid}",
            memory_mb=ram_mb,
            cpus=float(context.constraints.cpu or 1),
            # Both count as the container's memory, so they can only be a share of it.
            shm_mb=min(max(ram_mb // 4, 16), 8192),
            tmpfs_mb=max(ram_mb // 2, 16),
            network=settings.network,
            # What is only declared the engine does not know; the op is told of it, and no more.
            gpu_uuids=(gpu_uuid,) if gpu_uuid and self._services.gpus.are_devices else (),
            stop_grace_s=int(min(settings.grace_s, protocol.MAX_GRACE_S)),
        )


def variables(context: ExecutionContext, deadline: str | None) -> dict[str, str]:
    """The container's variables: where and which, how many threads; no inputs, no secrets."""
    threads = str(max(1, int(context.constraints.cpu or 1)))
    found = {
        protocol.ENV_DIR: protocol.DIR,
        protocol.ENV_RUN_ID: context.assignment.run_id,
        protocol.ENV_ATTEMPT: str(context.assignment.attempt),
        protocol.ENV_HOME: protocol.HOME,
    }
    found |= dict.fromkeys(protocol.THREAD_VARIABLES, threads)
    return found if deadline is None else {**found, protocol.ENV_DEADLINE: deadline}


def mounts(folder: WorkFolder, *, has_network: bool) -> list[Mount]:
    """What a container sees of this machine."""
    found = [
        Mount(str(folder.inner), f"{protocol.DIR}/{protocol.IN}"),
        Mount(str(folder.outer), f"{protocol.DIR}/{protocol.OUT}", read_only=False),
    ]
    # Without a network the engine writes no hosts file, and localhost would not resolve.
    return found if has_network else [*found, Mount(str(folder.hosts), "/etc/hosts")]


def description(context: ExecutionContext, deadline: str | None) -> dict[str, Any]:
    """What the op may know of its run: `in/context.json`."""
    assignment = context.assignment
    return {
        "protocol": protocol.VERSION,
        "run_id": assignment.run_id,
        "attempt": assignment.attempt,
        "op": assignment.op_definition,
        "op_version": assignment.op_version,
        "image": assignment.image,
        "image_digest": context.image_digest,
        "deadline": deadline,
        "granted": context.constraints.to_dict(),
        "gpu_uuids": [assignment.gpu_uuid] if assignment.gpu_uuid else [],
    }


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)

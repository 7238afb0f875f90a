"""First stage: the attempt's folder with its inputs, and a durable note that it has begun."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from gyoza.op import protocol
from gyoza.wire.messages import ArtifactRef
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.input_files import stage_file, with_files_staged
from gyoza.worker.execution.services import Services

PHASE: Final = "FETCHING"


class PrepareWorkdir:
    """Makes `in/`, `out/` and the hosts file, and writes `input.json`.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "prepare_workdir"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        # Nothing is begun that cannot be noted; the pipeline reports why.
        self._services.journal.begin(context.assignment)
        folder = context.folder.inner / protocol.FILES

        async def fetch(reference: ArtifactRef) -> str:
            await asyncio.to_thread(self._make, context)
            return await stage_file(
                self._services.files, folder, reference, lambda: context.report.phase(PHASE)
            )

        context.inputs = await with_files_staged(context.assignment.inputs, fetch)
        await asyncio.to_thread(self._write, context)

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: the folder is gone, and with it the hold on input files."""
        await self._services.files.tidy()

    def _make(self, context: ExecutionContext) -> None:
        context.folder.make(self._services.container_uid, self._services.container_gid)

    def _write(self, context: ExecutionContext) -> None:
        # Made only here unless a file had to be fetched first: each trip to a thread costs time.
        self._make(context)
        context.folder.write_in(protocol.INPUT_FILE, context.inputs)
        # Before any container: a successor must know of it after whatever happens from here on.
        self._services.journal.sync()

"""Last stage, always: leave nothing of the attempt on this machine.

It runs once the server has the result, since until then container and folder are the evidence.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

import structlog

from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.labels import labels
from gyoza.worker.execution.services import Services
from gyoza.worker.removal import delete_folder
from gyoza.worker.runtime.interface import ContainerHandle, RuntimeFault
from gyoza.worker.waiting import Backoff

_TRIES: Final = 6
_log = structlog.stdlib.get_logger(__name__)


class CleanUp:
    """Removes the container, then the folder, then the note in the journal.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "clean_up"
    is_always_entered: ClassVar[bool] = True
    is_interruptible: ClassVar[bool] = False

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        if not await self._removed(context):
            # The next start of the worker finds both by the container's labels.
            _log.warning("container stays for now", run=context.oprun_id)
            return
        try:
            await asyncio.to_thread(delete_folder, context.folder.path)
        except OSError as error:
            _log.warning("folder stays for now", path=str(context.folder.path), why=str(error))
        self._services.journal.end(context.oprun_id, context.assignment.fence)

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: nothing is held."""

    async def _removed(self, context: ExecutionContext) -> bool:
        backoff = Backoff(self._services.draw)
        for _ in range(_TRIES):
            try:
                for handle in await self._containers(context):
                    await self._services.runtime.remove(handle)
            except RuntimeFault as fault:
                _log.info("could not remove", run=context.oprun_id, why=str(fault))
                await self._services.clock.sleep(backoff.next_s())
            else:
                return True
        return False

    async def _containers(self, context: ExecutionContext) -> list[ContainerHandle]:
        if context.handle is not None:
            return [context.handle]
        if context.image_info is None:
            return []
        # Making it was cut off: it may be there without our knowing its id.
        found = await self._services.runtime.list_managed(labels(context, self._services))
        return [each.handle for each in found]

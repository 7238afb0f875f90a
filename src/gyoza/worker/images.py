"""What images are on this machine, as the server is told of them, so that runs come to them.

They are listed at most every 30 seconds, or when an image was pulled; told in full at registration,
then only when they have changed. Not knowing them costs a pull elsewhere and nothing else, so an
engine that cannot list them is no fault of the worker.
"""

from __future__ import annotations

import asyncio
from typing import Final, final

import structlog

from gyoza.worker.clock import Clock
from gyoza.worker.runtime.interface import ContainerRuntime, RuntimeFault
from gyoza.worker.waiting import happens_within

MOST: Final = 2000
"""So many images are named, the newest."""

EVERY_S: Final = 30.0
_log = structlog.stdlib.get_logger(__name__)


@final
class KnownImages:
    """The images by all their names.

    Args:
        runtime: Lists them, in bounded time.
        clock: Lets the time pass between two looks.

    Attributes:
        names: References and digests, sorted; None before the first answer.
    """

    def __init__(self, runtime: ContainerRuntime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._changed = asyncio.Event()
        self._told: list[str] | None = None
        self.names: list[str] | None = None

    @property
    def news(self) -> list[str] | None:
        """What to tell of them; None when the server knows it."""
        return None if self.names == self._told else self.names

    def told(self, names: list[str] | None) -> None:
        """The server knows these by now; None changes nothing."""
        self._told = self._told if names is None else names

    def changed(self) -> None:
        """There may be others than at the last look."""
        self._changed.set()

    async def look(self) -> None:
        """List them again; what cannot be listed stays as it was."""
        self._changed.clear()
        try:
            self.names = sorted(set(await self._runtime.list_images(MOST)))
        except RuntimeFault as fault:
            _log.info("the images are not known", why=str(fault))

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await happens_within(self._clock, EVERY_S, self._changed)
            await self.look()

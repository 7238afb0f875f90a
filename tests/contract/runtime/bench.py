"""A runtime with what the suite did on it: containers by behaviour, and none left behind."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerRuntime,
    ContainerSpec,
    ContainerState,
    LogChunk,
)
from tests.contract.runtime.behaviours import BEHAVIOURS

LABEL = "gyoza.test.bench"


@dataclass
class Bench:
    """A runtime, and what the tests did with it."""

    runtime: ContainerRuntime
    image: str | None
    name: str = field(default_factory=lambda: f"gyoza-test-{uuid.uuid4().hex[:12]}")
    made: list[ContainerHandle] = field(default_factory=list)

    def spec(self, behaviour: str, **changes: Any) -> ContainerSpec:
        """A neutral specification; `image` None means that scripts are images."""
        settings = {
            "name": f"{self.name}-{len(self.made)}",
            "image": self.image or behaviour,
            "command": BEHAVIOURS[behaviour].command,
            "labels": {LABEL: self.name},
            "memory_mb": 64,
            "tmpfs_mb": 8,
            **changes,
        }
        return ContainerSpec(**settings)

    async def created(self, behaviour: str, **changes: Any) -> ContainerHandle:
        handle = await self.runtime.create(self.spec(behaviour, **changes))
        self.made.append(handle)
        return handle

    async def started(self, behaviour: str, **changes: Any) -> ContainerHandle:
        handle = await self.created(behaviour, **changes)
        await self.runtime.start(handle)
        return handle

    async def ended(self, behaviour: str, **changes: Any) -> tuple[ContainerHandle, ContainerState]:
        handle = await self.started(behaviour, **changes)
        return handle, await self.runtime.wait(handle)

    async def first_words(self, handle: ContainerHandle) -> LogChunk:
        """Wait until it has said something: from then on it is known to run its own code."""
        async with contextlib.aclosing(self.runtime.logs(handle)) as chunks:
            return await anext(chunks)

    async def clean_up(self) -> None:
        for managed in await self.runtime.list_managed({LABEL: self.name}):
            await self.runtime.remove(managed.handle)
        await self.runtime.close()

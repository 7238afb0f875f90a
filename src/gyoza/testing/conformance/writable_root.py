"""A container whose root can be written to: only to see where an op would write.

Everything else of the worker's policy stays as it is, and nothing but `gyoza check` uses it.
"""

from __future__ import annotations

from typing import Any, cast

from gyoza.testing.engine import EngineFacts
from gyoza.worker.runtime.docker_host import nofile_limit
from gyoza.worker.runtime.docker_spec import create_body
from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerRuntime,
    ContainerSpec,
    StartFailed,
)


class WritableRoot:
    """A runtime that makes its containers by itself and leaves all else to another.

    Args:
        inner: The other.
        engine: Where containers are made.
    """

    def __init__(self, inner: ContainerRuntime, engine: EngineFacts) -> None:
        self._inner = inner
        self._engine = engine

    @classmethod
    def over(cls, inner: ContainerRuntime, engine: EngineFacts) -> ContainerRuntime:
        """Return such a runtime."""
        return cast("ContainerRuntime", cls(inner, engine))

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """See `ContainerRuntime.create`."""
        body = create_body(spec, nofile_limit(self._engine.address.removeprefix("unix://")))
        body["HostConfig"]["ReadonlyRootfs"] = False
        made = await self._engine.create(spec.name, body)
        if made is None:
            raise StartFailed(f"the engine does not make {spec.name} with a writable root")
        return ContainerHandle(made, spec.name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

"""Containers that are only scripts: the runtime interface without an engine, exact and quick.

`FakeRuntime` plays a `Script` per image on the clock it is given, and puts the same files into the
same mounts as a real op would. It passes the suite of the Docker runtime, and it carries the
measurements of the control plane, so a script without duration is played inside `start` itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from hashlib import sha256
from signal import Signals
from typing import Final, final

from gyoza.worker.clock import Clock
from gyoza.worker.runtime.fake_container import EXIT_SIGKILL, ScriptedContainer
from gyoza.worker.runtime.fake_script import PullScript, Script
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    ImageInfo,
    ImageNotFound,
    LogChunk,
    LogPosition,
    ManagedContainer,
    NameConflict,
    OutOfResources,
    PullProgress,
    RuntimeFault,
)

SMALLEST_MEMORY_MB: Final = 6
EXIT_SIGTERM: Final = 143

FAKE_ENGINE: Final = EngineInfo(
    engine_id="fake", version="1", api_version="1", cpus=16, memory_mb=65_536, cgroup_version="2"
)


@final
class FakeRuntime:
    """`ContainerRuntime` by script.

    Args:
        clock: Tells the time and lets it pass.
        scripts: What each image does, by reference.
        registry: The images among them that must be pulled first; the others are on the machine.
        engine: What `fingerprint` tells.
    """

    def __init__(
        self,
        clock: Clock,
        scripts: Mapping[str, Script],
        *,
        registry: Mapping[str, PullScript] | None = None,
        engine: EngineInfo = FAKE_ENGINE,
    ) -> None:
        self._clock = clock
        self._scripts = scripts
        self._registry = dict(registry or {})
        self._engine = engine
        self._images = {ref: _image(ref, 1_000_000) for ref in scripts if ref not in self._registry}
        self._containers: dict[str, ScriptedContainer] = {}
        self._names: dict[str, str] = {}
        self._made = 0
        self._faults: dict[str, list[RuntimeFault]] = {}
        self._signals: dict[str, set[int]] = {}

    def fail_next(self, verb: str, *faults: RuntimeFault) -> None:
        """Let the next calls of `verb`, a method's name, do nothing but raise `faults` in order."""
        self._faults.setdefault(verb, []).extend(faults)

    async def fingerprint(self) -> EngineInfo:
        """See `ContainerRuntime.fingerprint`."""
        self._meet_fault("fingerprint")
        return self._engine

    async def find_image(self, ref: str) -> ImageInfo | None:
        """See `ContainerRuntime.find_image`."""
        self._meet_fault("find_image")
        return self._images.get(ref)

    async def list_images(self, most: int) -> list[str]:
        """See `ContainerRuntime.list_images`; the newest are those that were pulled last."""
        self._meet_fault("list_images")
        newest = list(self._images.items())[-most:] if most else []
        return [name for ref, image in newest for name in (ref, image.id)]

    async def pull(self, ref: str, on_progress: Callable[[PullProgress], None]) -> ImageInfo:
        """See `ContainerRuntime.pull`."""
        self._meet_fault("pull")
        script = self._registry.get(ref)
        if script is None:
            raise ImageNotFound(f"the registry has no image {ref}", detail="manifest unknown")
        for part in range(1, script.messages + 1):
            await self._clock.sleep(script.duration_s / script.messages)
            done = script.size_bytes * part // script.messages
            on_progress(PullProgress(done, script.size_bytes, "Downloading"))
        if script.fault is not None:
            raise script.fault
        self._images[ref] = _image(ref, script.size_bytes)
        return self._images[ref]

    async def create(self, spec: ContainerSpec) -> ContainerHandle:
        """See `ContainerRuntime.create`."""
        self._meet_fault("create")
        image = self._images.get(spec.image)
        if image is None:
            raise ImageNotFound(
                f"image {spec.image} is not on this machine; pull or build it first",
                detail=f"No such image: {spec.image}",
            )
        self._check_resources(spec)
        if spec.name in self._names:
            return self._adopt(spec, self._containers[self._names[spec.name]])
        self._made += 1
        handle = ContainerHandle(f"fake-{self._made}", spec.name)
        script = self._scripts[spec.image]
        self._containers[handle.id] = ScriptedContainer(handle, spec, script, self._clock)
        self._names[spec.name] = handle.id
        return handle

    def _check_resources(self, spec: ContainerSpec) -> None:
        if spec.cpus > self._engine.cpus:
            raise OutOfResources(
                f"this machine cannot give container {spec.name} its {spec.cpus:g} CPUs;"
                f" it has {self._engine.cpus}"
            )
        if spec.memory_mb < SMALLEST_MEMORY_MB:
            raise OutOfResources(
                f"{spec.memory_mb} MB of memory is less than the engine can give a container;"
                f" ask for at least {SMALLEST_MEMORY_MB} MB",
                is_recoverable=False,
                charged=True,
            )

    @staticmethod
    def _adopt(spec: ContainerSpec, twin: ScriptedContainer) -> ContainerHandle:
        is_same = bool(spec.labels) and spec.labels.items() <= twin.spec.labels.items()
        if not is_same or twin.state.has_ended:
            raise NameConflict(f"the container name {spec.name} is taken by {twin.handle.id}")
        return twin.handle

    async def start(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.start`."""
        self._meet_fault("start")
        self._get(handle).start()

    async def wait(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.wait`."""
        self._meet_fault("wait")
        container = self._get(handle)
        while not container.state.has_ended:
            await container.news()
            self._get(handle)
        return container.state

    async def inspect(self, handle: ContainerHandle) -> ContainerState:
        """See `ContainerRuntime.inspect`."""
        self._meet_fault("inspect")
        return self._get(handle).state

    async def signal(self, handle: ContainerHandle, signal: str) -> None:
        """See `ContainerRuntime.signal`; signals other than SIGTERM and SIGKILL do nothing."""
        self._meet_fault("signal")
        container = self._get(handle)
        if signal == "SIGTERM" and not container.script.ignores_sigterm:
            container.end_by_signal(EXIT_SIGTERM)
        elif signal == "SIGKILL":
            container.end_by_signal(EXIT_SIGKILL)
        self._signals.setdefault(handle.id, set()).add(Signals[signal])

    async def signals_seen(self, handle: ContainerHandle, state: ContainerState) -> frozenset[int]:
        """See `ContainerRuntime.signals_seen`."""
        self._meet_fault("signals_seen")
        return frozenset(self._signals.get(handle.id, ()))

    async def kill(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.kill`."""
        self._meet_fault("kill")
        self._get(handle).end_by_signal(EXIT_SIGKILL)
        self._signals.setdefault(handle.id, set()).add(Signals.SIGKILL)

    async def logs(
        self, handle: ContainerHandle, after: LogPosition | None = None
    ) -> AsyncGenerator[LogChunk, None]:
        """See `ContainerRuntime.logs`."""
        self._meet_fault("logs")
        container = self._get(handle)
        seen, reached = 0, after or LogPosition()
        while True:
            for chunk in container.log[seen:]:
                seen += 1
                before = getattr(reached, chunk.stream)
                if before is None or (chunk.t_ns or 0) > before.t_ns:
                    yield chunk
            if seen == len(container.log):
                if container.state.status != "running" or container.is_removed:
                    return
                await container.news()

    async def remove(self, handle: ContainerHandle) -> None:
        """See `ContainerRuntime.remove`."""
        self._meet_fault("remove")
        container = self._containers.pop(handle.id, None)
        if container is not None:
            del self._names[container.handle.name]
            container.remove()

    async def list_managed(self, labels: Mapping[str, str]) -> list[ManagedContainer]:
        """See `ContainerRuntime.list_managed`."""
        self._meet_fault("list_managed")
        return [
            ManagedContainer(container.handle, container.spec.labels, container.state)
            for container in self._containers.values()
            if labels.items() <= container.spec.labels.items()
        ]

    async def close(self) -> None:
        """See `ContainerRuntime.close`."""

    def _get(self, handle: ContainerHandle) -> ScriptedContainer:
        container = self._containers.get(handle.id)
        if container is None:
            raise ContainerGone(f"there is no container {handle.name} ({handle.id})")
        return container

    def _meet_fault(self, verb: str) -> None:
        faults = self._faults.get(verb)
        if faults:
            raise faults.pop(0)


def _image(ref: str, size_bytes: int) -> ImageInfo:
    digest = f"sha256:{sha256(ref.encode()).hexdigest()}"
    return ImageInfo(id=digest, repo_digest=None, size_bytes=size_bytes)

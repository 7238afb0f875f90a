"""The GPUs of a machine behind one small interface, and those that an operator declares.

Whoever asks gets every GPU with what others than gyoza use of it and what is wrong with it, and
always within bounded time. The real ones are in `nvml`. A declared GPU has an identifier made from
its position, stable as long as the declaration is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol, final

from gyoza.wire.messages import Gpu


@dataclass(frozen=True, slots=True)
class OwnUse:
    """What this worker's attempts hold on the GPUs, so that it is not taken for others' use.

    Attributes:
        containers: The engine's ids of their containers.
        granted_mb: Megabytes of VRAM that they were granted, by the GPU's UUID.
    """

    containers: frozenset[str] = frozenset()
    granted_mb: Mapping[str, int] = field(default_factory=dict[str, int])


NOTHING: Final = OwnUse()


class Gpus(Protocol):
    """Where a worker learns of its GPUs.

    Attributes:
        are_devices: Whether the engine can be asked for them by UUID; else an op is only told of
            its GPU.
    """

    are_devices: ClassVar[bool]

    @property
    def known(self) -> list[Gpu]:
        """As they were found by the last look."""
        ...

    async def look(self, own: OwnUse) -> list[Gpu]:
        """Look again, and never for longer than a few seconds.

        Args:
            own: What this worker's own attempts hold right now.

        Returns:
            Every GPU known; one that is gone or does not answer says so in its `problem`.
        """
        ...


@final
class DeclaredGpus:
    """GPUs that are there because somebody says so: for tests, and for cards that NVML lacks.

    Args:
        gpus: What to offer.
    """

    are_devices: ClassVar[bool] = False

    def __init__(self, gpus: Sequence[Gpu] = ()) -> None:
        self._gpus = list(gpus)

    @property
    def known(self) -> list[Gpu]:
        """See `Gpus.known`."""
        return list(self._gpus)

    async def look(self, own: OwnUse) -> list[Gpu]:
        """See `Gpus.look`; nobody can say what others use of them."""
        del own
        return self.known


def declared_gpus(vram_mb: Sequence[int]) -> list[Gpu]:
    """GPUs from their VRAM in megabytes, in the order of their indices."""
    return [
        Gpu(
            uuid=f"GPU-declared-{index}",
            vram_mb=each,
            index=index,
            name="declared",
            is_declared=True,
        )
        for index, each in enumerate(vram_mb)
    ]

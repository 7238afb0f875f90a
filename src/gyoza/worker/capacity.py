"""What this worker offers: the engine's CPUs and memory unless its operator says otherwise."""

from __future__ import annotations

from typing import Final

from gyoza.wire.messages import Capacity, Gpu
from gyoza.worker.runtime.interface import EngineInfo

KEPT_FOR_THE_HOST_MB: Final = 512
"""For the operating system, the engine and the worker itself."""


def offered(engine: EngineInfo, *, cpu: int, ram_mb: int, gpus: list[Gpu]) -> Capacity:
    """What to register with.

    Args:
        engine: What the machine has.
        cpu: Whole CPUs to offer; 0 for all that the engine has. Never more than it has, since it
            refuses containers that ask for more.
        ram_mb: Memory to offer in megabytes; 0 for all but 512 MB.
        gpus: GPUs to offer.
    """
    return Capacity(
        cpu=min(cpu, engine.cpus) if cpu else engine.cpus,
        ram_mb=ram_mb or max(0, engine.memory_mb - KEPT_FOR_THE_HOST_MB),
        gpus=gpus,
    )

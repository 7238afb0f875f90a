"""The memory of a container as the kernel counts it, read from its control group on this machine.

Quicker and more exact than asking the engine, where the engine is on this machine and its groups
are where engines usually put them; everywhere else the answer is None.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_MIB: Final = 1024 * 1024
# The two drivers of the engine (cgroupfs, systemd) under the two versions of control groups.
_PLACES: Final = (
    "docker/{id}/memory.peak",
    "system.slice/docker-{id}.scope/memory.peak",
    "memory/docker/{id}/memory.max_usage_in_bytes",
    "memory/system.slice/docker-{id}.scope/memory.max_usage_in_bytes",
)


def peak_memory_mb(container: str, root: Path = _ROOT) -> float | None:
    """Return the most memory that a running container has used so far; None where unknown.

    Args:
        container: The engine's whole id of it.
        root: Where control groups are mounted.
    """
    for place in _PLACES:
        with suppress(OSError, ValueError):
            return int((root / place.format(id=container)).read_text()) / _MIB
    return None

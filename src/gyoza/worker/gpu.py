"""The GPUs that this worker offers: those that its operator declares, none otherwise.

A declared GPU has an identifier made from its position, stable as long as the declaration is.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyoza.wire.messages import Gpu


def declared_gpus(vram_mb: Sequence[int]) -> list[Gpu]:
    """GPUs from their VRAM in megabytes, in the order of their indices."""
    return [
        Gpu(uuid=f"GPU-declared-{index}", vram_mb=each, index=index, name="declared")
        for index, each in enumerate(vram_mb)
    ]

"""Which of the workers that a run fits is the best: the one it fills up most.

Best fit keeps the large gaps for the large runs. Work that needs no GPU stays off GPU boxes while
another box has room. Lower is better, and ties go to the lower worker id.
"""

from __future__ import annotations

from typing import TypeAlias

from gyoza.server.scheduling.feasibility import Room
from gyoza.server.scheduling.snapshot import Shape

Rank: TypeAlias = tuple[bool, float, str]


def rank(shape: Shape, room: Room) -> Rank:
    """Return how well a shape that fits would use the worker; lower is better."""
    worker = room.worker
    left = (room.cpu - shape.cpu) / (worker.cpu or 1)
    left += (room.ram_mb - shape.ram_mb) / (worker.ram_mb or 1)
    at = room.gpu_for(shape)
    if at is None:
        return bool(worker.gpus), left, worker.worker_id
    left += (room.vram_mb[at] - shape.vram_mb) / worker.gpus[at].vram_mb
    return False, left, worker.worker_id

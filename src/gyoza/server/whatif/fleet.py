"""Which workers there are, as somebody describes them or the server lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gyoza.server.scheduling.snapshot import GpuSnapshot, WorkerSnapshot


@dataclass(frozen=True, slots=True)
class Box:
    """Workers that are alike.

    Attributes:
        name: What people call them; a number is added where there are several.
        cpu: Whole CPUs of each.
        ram_mb: Megabytes of RAM of each.
        gpus: Megabytes of VRAM of each GPU of each.
        tags: Tags of each.
        count: How many there are, at least 1.
    """

    name: str
    cpu: int
    ram_mb: int
    gpus: tuple[int, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    count: int = 1


@dataclass(frozen=True, slots=True)
class Fleet:
    """All workers of one case.

    Attributes:
        name: What people call the case.
        boxes: What it consists of.
    """

    name: str
    boxes: tuple[Box, ...]

    def plus(self, more: Iterable[Box]) -> Fleet:
        """Return the fleet with further boxes, named after them."""
        added = tuple(more)
        words = [f"{box.count} x {box.name}" for box in added]
        return Fleet(" + ".join([self.name, *words]), self.boxes + added)

    def workers(self) -> tuple[WorkerSnapshot, ...]:
        """Return every worker: READY and holding nothing."""
        boxes = [(box, at) for box in self.boxes for at in range(box.count)]
        return tuple(_worker(number, box, at) for number, (box, at) in enumerate(boxes))


def _worker(number: int, box: Box, at: int) -> WorkerSnapshot:
    worker_id = f"wrk_{number:05d}"
    gpus = (
        GpuSnapshot(f"GPU-{number:05d}-{index}", index, vram_mb)
        for index, vram_mb in enumerate(box.gpus)
    )
    return WorkerSnapshot(
        worker_id=worker_id,
        name=f"{box.name}-{at + 1}" if box.count > 1 else box.name,
        state="READY",
        cpu=box.cpu,
        ram_mb=box.ram_mb,
        gpus=tuple(gpus),
        tags=dict(box.tags),
    )

"""Two planners as one would write them first, for comparison with the real one.

Both take runs by priority and age and the first worker that has room. `first_fit` goes on behind a
run that finds none, so large runs wait for ever while small ones pass; `strict_order` stops there,
so that nothing passes and room is left empty.
"""

from __future__ import annotations

from gyoza.server.scheduling.planner import Placement, Plan
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot, WorkerSnapshot


class _Free:
    """What a worker has left."""

    def __init__(self, worker: WorkerSnapshot) -> None:
        self.worker = worker
        self.cpu = worker.cpu - worker.reserved_cpu
        self.ram_mb = worker.ram_mb - worker.reserved_ram_mb
        self.vram_mb = [gpu.free_mb for gpu in worker.gpus]

    def has_room(self, shape: Shape) -> bool:
        return (
            self.cpu >= shape.cpu
            and self.ram_mb >= shape.ram_mb
            and all(self.worker.tags.get(name) == value for name, value in shape.selectors)
            and (not shape.vram_mb or max(self.vram_mb, default=0) >= shape.vram_mb)
        )

    def take(self, shape: Shape) -> str | None:
        """Take the room of a shape; returns the GPU."""
        self.cpu -= shape.cpu
        self.ram_mb -= shape.ram_mb
        if not shape.vram_mb:
            return None
        at = next(at for at, free in enumerate(self.vram_mb) if free >= shape.vram_mb)
        self.vram_mb[at] -= shape.vram_mb
        return self.worker.gpus[at].uuid


def first_fit(snapshot: Snapshot) -> Plan:
    """Place every run that fits, on the first worker it fits."""
    return _place(snapshot, stops=False)


def strict_order(snapshot: Snapshot) -> Plan:
    """Place runs until the first that fits nowhere."""
    return _place(snapshot, stops=True)


def _place(snapshot: Snapshot, *, stops: bool) -> Plan:
    workers = [_Free(worker) for worker in snapshot.workers]
    placements: list[Placement] = []
    for run in sorted(snapshot.runs, key=_order):
        free = next((each for each in workers if each.has_room(run.shape)), None)
        if free is not None:
            uuid = free.take(run.shape)
            placements.append(Placement(run, free.worker.worker_id, uuid))
        elif stops:
            break
    return Plan(tuple(placements), ())


def _order(run: PendingRun) -> tuple[int, float, str]:
    return -run.priority, run.created_at.timestamp(), run.run_id

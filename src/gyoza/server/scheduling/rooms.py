"""What is free on a worker while a plan is made, and what of it is kept for a run that waits.

Rooms only shrink during a plan. Whether something fits is asked elsewhere (`feasibility`).
"""

from __future__ import annotations

from dataclasses import dataclass

from gyoza.server.scheduling.snapshot import GpuSnapshot, Shape, WorkerSnapshot


@dataclass(slots=True)
class Spare:
    """What of a worker may be used by others although it is kept for a run that waits for it.

    Attributes:
        run_id: The run it is kept for.
        cpu: CPUs beyond what that run will take, at least 0.
        ram_mb: Megabytes of RAM beyond it.
        gpu: Position of the GPU kept for it; None when it needs none.
        vram_mb: Megabytes of that GPU beyond it.
    """

    run_id: str
    cpu: int
    ram_mb: int
    gpu: int | None
    vram_mb: int


class Room:
    """What is free on a worker while a plan is made; placing a run takes of it.

    Attributes:
        worker: The worker as the snapshot has it.
        cpu: Free CPUs.
        ram_mb: Free megabytes of RAM.
        vram_mb: Free megabytes per GPU, in the order of `worker.gpus`; 0 for one in quarantine.
        spare: Set once the worker is kept for a run that waits for it.
    """

    __slots__ = ("cpu", "ram_mb", "spare", "vram_mb", "worker")

    def __init__(self, worker: WorkerSnapshot) -> None:
        self.worker = worker
        # A worker may come back smaller than what it already holds; then nothing is free.
        self.cpu = max(0, worker.cpu - worker.reserved_cpu)
        self.ram_mb = max(0, worker.ram_mb - worker.reserved_ram_mb)
        self.vram_mb = [0 if gpu.problem else gpu.free_mb for gpu in worker.gpus]
        self.spare: Spare | None = None

    @property
    def cpu_for_others(self) -> int:
        """CPUs that a run may get which the worker is not kept for."""
        return self.cpu if self.spare is None else min(self.cpu, self.spare.cpu)

    @property
    def ram_for_others(self) -> int:
        """Likewise megabytes of RAM."""
        return self.ram_mb if self.spare is None else min(self.ram_mb, self.spare.ram_mb)

    def vram_for_others(self, at: int) -> int:
        """Likewise megabytes of the GPU at this position."""
        if self.spare is None or self.spare.gpu != at:
            return self.vram_mb[at]
        return min(self.vram_mb[at], self.spare.vram_mb)

    def gpu_for(self, shape: Shape) -> int | None:
        """Return the position of the fullest GPU with enough free, None without need or room."""
        if not shape.vram_mb:
            return None
        return self._fullest(shape, [self.vram_for_others(at) for at in range(len(self.vram_mb))])

    def take(self, shape: Shape) -> GpuSnapshot | None:
        """Reserve room for a run that fits; returns its GPU, None when it needs none."""
        at = self.gpu_for(shape)
        spare = self.spare
        if spare is not None:
            spare.cpu -= shape.cpu
            spare.ram_mb -= shape.ram_mb
            if at is not None and at == spare.gpu:
                spare.vram_mb -= shape.vram_mb
        return self._reserve(shape, at)

    def lend(self, shape: Shape) -> GpuSnapshot | None:
        """Reserve room for a run that is gone before the one begins that the worker is kept for."""
        return self._reserve(shape, self._fullest(shape, self.vram_mb) if shape.vram_mb else None)

    def _fullest(self, shape: Shape, vram_mb: list[int]) -> int | None:
        gpus = self.worker.gpus
        fitting = [(free, gpus[at].uuid, at) for at, free in enumerate(vram_mb)]
        found = min((each for each in fitting if each[0] >= shape.vram_mb), default=None)
        return None if found is None else found[2]

    def _reserve(self, shape: Shape, at: int | None) -> GpuSnapshot | None:
        self.cpu -= shape.cpu
        self.ram_mb -= shape.ram_mb
        if at is None:
            return None
        self.vram_mb[at] -= shape.vram_mb
        return self.worker.gpus[at]

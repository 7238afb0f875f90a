"""How a run that fits nowhere now would come to a place on one worker: which attempts have to end.

A way is found by letting attempts end in some order until the run fits. Who may be waited for, and
in which order, is for those to say who ask (`promises`, `preemption`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gyoza.server.scheduling.feasibility import could_ever
from gyoza.server.scheduling.rooms import Room, Spare
from gyoza.server.scheduling.snapshot import Holding, PendingRun


class Site:
    """A worker, and the GPU on it, on which a run could have its place.

    Attributes:
        run: The run.
        room: What is free of the worker.
        gpu: Position of the GPU; None when the run needs none.
        place: Names the site among all: the worker's id and the GPU's.
    """

    __slots__ = ("gpu", "place", "room", "run")

    def __init__(self, run: PendingRun, room: Room, gpu: int | None) -> None:
        self.run = run
        self.room = room
        self.gpu = gpu
        self.place = room.worker.worker_id, self.gpu_uuid or ""

    @property
    def gpu_uuid(self) -> str | None:
        """The GPU's identity; None when the run needs none."""
        return None if self.gpu is None else self.room.worker.gpus[self.gpu].uuid

    def row(self, first_to_end: Iterable[Holding]) -> list[Holding] | None:
        """Return the shortest beginning of a row after whose end the run fits; None without one."""
        left = _Left(self)
        ended: list[Holding] = []
        for holding in first_to_end:
            left.give_back(holding)
            ended.append(holding)
            if left.is_enough:
                return ended
        return None

    def is_enough(self, ended: Iterable[Holding]) -> bool:
        """Whether the run fits once these have ended."""
        left = _Left(self)
        for holding in ended:
            left.give_back(holding)
        return left.is_enough

    def spare(self, ended: Iterable[Holding]) -> Spare:
        """Return what the run will leave of the worker once these have ended."""
        left = _Left(self)
        for holding in ended:
            left.give_back(holding)
        return Spare(
            self.run.run_id, max(0, left.cpu), max(0, left.ram_mb), self.gpu, max(0, left.vram_mb)
        )


def sites(run: PendingRun, rooms: Sequence[Room]) -> Iterator[Site]:
    """Yield where the run could have its place once enough has ended, in the order of rooms."""
    shape = run.shape
    for room in rooms:
        worker = room.worker
        if worker.state != "READY" or not worker.holdings or not could_ever(shape, worker):
            continue
        if not shape.vram_mb:
            yield Site(run, room, None)
            continue
        for at, gpu in enumerate(worker.gpus):
            if not gpu.problem and gpu.vram_mb >= shape.vram_mb:
                yield Site(run, room, at)


def is_ending(holding: Holding) -> bool:
    """Whether its worker is stopping it; when a lost attempt ends, nobody knows."""
    return holding.stops and not holding.lost


class _Left:
    """What a run leaves on a site; below 0 is what it still lacks."""

    __slots__ = ("_gpu_uuid", "_shape", "cpu", "ram_mb", "vram_mb")

    def __init__(self, site: Site) -> None:
        room, shape = site.room, site.run.shape
        worker = room.worker
        self._shape = shape
        self._gpu_uuid = site.gpu_uuid
        # A worker that came back smaller owes the difference: what ends there pays that first.
        self.cpu = room.cpu - shape.cpu - max(0, worker.reserved_cpu - worker.cpu)
        self.ram_mb = room.ram_mb - shape.ram_mb - max(0, worker.reserved_ram_mb - worker.ram_mb)
        self.vram_mb = 0
        if site.gpu is not None:
            gpu = worker.gpus[site.gpu]
            debt = max(0, gpu.used_mb + gpu.reserved_mb - gpu.vram_mb)
            self.vram_mb = room.vram_mb[site.gpu] - shape.vram_mb - debt

    def give_back(self, holding: Holding) -> None:
        self.cpu += holding.cpu
        self.ram_mb += holding.ram_mb
        if self._gpu_uuid is not None and holding.gpu_uuid == self._gpu_uuid:
            self.vram_mb += holding.vram_mb

    @property
    def is_enough(self) -> bool:
        shape = self._shape
        return (
            (self.cpu >= 0 or not shape.cpu)
            and (self.ram_mb >= 0 or not shape.ram_mb)
            and self.vram_mb >= 0
        )

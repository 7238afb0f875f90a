"""Which of the places that a run fits is the best: the one that leaves the smallest gap.

Best fit keeps the large gaps for the large runs. A gap is what is left of CPU, RAM and, for a run
with a GPU, of that GPU's VRAM, each as a part of what the whole fleet has of it: so the order of
places is the same for every run, and `gaps` can keep it. Before that comes what costs more than a
gap: CPU work stays off GPU boxes while another box has room, and who has the image goes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gyoza.server.scheduling.snapshot import WorkerSnapshot


class Prices(NamedTuple):
    """What a unit of each resource is worth: one divided by what the fleet has of it."""

    cpu: float
    ram_mb: float
    vram_mb: float

    @classmethod
    def of(cls, workers: Iterable[WorkerSnapshot]) -> Prices:
        """Return the prices of a fleet."""
        fleet = tuple(workers)
        return cls(
            1 / (sum(worker.cpu for worker in fleet) or 1),
            1 / (sum(worker.ram_mb for worker in fleet) or 1),
            1 / (sum(gpu.vram_mb for worker in fleet for gpu in worker.gpus) or 1),
        )

"""Keeping a worker for the first run that finds no room, so that smaller ones cannot starve it.

Of the workers that could take the run, the one is kept whose blocking attempts began earliest: the
shortest row of its oldest attempts, after whose end the run fits. Others may use what the run will
not need. Attempts that begin later never enter that row, so the wait is bounded by attempts that
already run; no times have to be known. (Backfill with a reservation for the first job: Lifka, "The
ANL/IBM SP Scheduling System", 1995, with start order in place of users' time limits.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from gyoza.server.scheduling.feasibility import Room, Spare, could_ever
from gyoza.server.scheduling.snapshot import Holding, PendingRun


class Promise(NamedTuple):
    """A worker that is kept for a run.

    Attributes:
        run: Whom it is kept for.
        worker_id: The worker.
        gpu_uuid: The GPU; None when it needs none.
    """

    run: PendingRun
    worker_id: str
    gpu_uuid: str | None


class _Way(NamedTuple):
    """How a run will come to its place on one worker, and what it will leave there.

    Compared by its first parts: the newest attempt that has to end, how many have to, the worker.
    """

    newest: datetime
    attempts: int
    worker_id: str
    gpu: int
    room: Room
    spare: Spare


def promise(run: PendingRun, rooms: Iterable[Room]) -> Promise | None:
    """Keep the best worker for a run that fits nowhere now.

    Returns:
        What was promised; None when no READY worker could take the run after its attempts' ends.
    """
    ways = [way for room in rooms for way in _ways(run, room)]
    if not ways:
        return None
    best = min(ways, key=lambda way: way[:4])
    best.room.keep(best.spare)
    uuid = None if best.spare.gpu is None else best.room.worker.gpus[best.spare.gpu].uuid
    return Promise(run, best.worker_id, uuid)


def _ways(run: PendingRun, room: Room) -> Iterator[_Way]:
    worker, shape = room.worker, run.shape
    if worker.state != "READY" or not worker.holdings or not could_ever(shape, worker):
        return
    oldest_first = sorted(worker.holdings, key=lambda each: (each.since, each.gpu_uuid or ""))
    gpus = range(len(worker.gpus)) if shape.vram_mb else (None,)
    for gpu in gpus:
        way = _way(run, room, gpu, oldest_first)
        if way is not None:
            yield way


def _way(run: PendingRun, room: Room, gpu: int | None, oldest_first: list[Holding]) -> _Way | None:
    worker, shape = room.worker, run.shape
    uuid = None if gpu is None else worker.gpus[gpu].uuid
    left = Spare(
        run.run_id,
        room.cpu - shape.cpu,
        room.ram_mb - shape.ram_mb,
        gpu,
        0 if gpu is None else room.vram_mb[gpu] - shape.vram_mb,
    )
    for count, holding in enumerate(oldest_first, start=1):
        _give_back(left, holding, uuid)
        if min(left.cpu, left.ram_mb, left.vram_mb) >= 0:
            place = -1 if gpu is None else gpu
            return _Way(holding.since, count, worker.worker_id, place, room, left)
    return None


def _give_back(left: Spare, holding: Holding, uuid: str | None) -> None:
    left.cpu += holding.cpu
    left.ram_mb += holding.ram_mb
    if uuid is not None and holding.gpu_uuid == uuid:
        left.vram_mb += holding.vram_mb

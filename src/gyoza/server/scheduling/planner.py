"""`plan(snapshot)`: the whole decision of who runs where, as one pure function.

Runs are taken in the order of `turns`; each gets the best worker it fits on, or its reasons. The
first that finds no room has a worker kept for it (`promises`); the ones behind it go on where they
cannot delay it. Room only shrinks while a plan is made, which two economies rest on: a shape that
failed once fails for the rest of the plan, and a worker found unfit for a shape stays so. A
worker's place in a shape's heap may be older than its last change; whatever is taken from the heap
is looked at again before it is used.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from enum import StrEnum

from gyoza.server.scheduling.feasibility import Reason, Room, could_ever, fits, refusals
from gyoza.server.scheduling.limits import Rule
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.scheduling.promises import Promise, promise
from gyoza.server.scheduling.ranking import Rank, rank
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot
from gyoza.server.scheduling.turns import Turns


class Verdict(StrEnum):
    """What a plan says about a run that it does not place."""

    LATER = "LATER"
    NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class Placement:
    """A run and the place it gets.

    Attributes:
        run: The run as the snapshot had it.
        worker_id: Where it goes.
        gpu_uuid: Its GPU; None when it needs none.
    """

    run: PendingRun
    worker_id: str
    gpu_uuid: str | None


class Refusals:
    """Why no worker takes a shape; shared by all runs of it.

    The reasons are found when somebody asks, from what the whole plan left free: room only shrinks
    while a plan is made, so whoever refused a shape during the plan refuses it at its end.
    """

    __slots__ = ("_rooms", "shape")

    def __init__(self, shape: Shape, rooms: tuple[Room, ...]) -> None:
        self.shape = shape
        self._rooms = rooms

    @property
    def verdict(self) -> Verdict:
        """LATER when some worker could take it once it is free, well or back; else NEVER."""
        ever = any(could_ever(self.shape, room.worker) for room in self._rooms)
        return Verdict.LATER if ever else Verdict.NEVER

    @property
    def by_worker(self) -> dict[str, list[Reason]]:
        """Every reason of each worker, by its id."""
        return {room.worker.worker_id: refusals(self.shape, room) for room in self._rooms}


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A run that got no place, and why.

    Attributes:
        run: The run as the snapshot had it.
        refusals: What each worker says to it.
        rule: What holds it back whatever the workers say; None when nothing does.
    """

    run: PendingRun
    refusals: Refusals
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in the order it was decided; every run of the snapshot is in one of the two.

    Attributes:
        placements: Who runs where.
        unplaced: Who waits, and why.
        promise: The worker kept for the first of those; None when nobody can be kept one.
        evictions: Who has to give way to it, all on the worker that is kept.
    """

    placements: tuple[Placement, ...]
    unplaced: tuple[Unplaced, ...]
    promise: Promise | None = None
    evictions: tuple[Eviction, ...] = ()


def plan(snapshot: Snapshot) -> Plan:
    """Decide where the pending runs go.

    Returns:
        Placements that never over-commit a worker, and the reasons of everything else; the same
        for the same snapshot, whatever the order of its runs and workers.
    """
    workers = sorted(snapshot.workers, key=lambda worker: worker.worker_id)
    rooms = tuple(Room(worker) for worker in workers)
    searches: dict[Shape, _Search] = {}
    placements: list[Placement] = []
    unplaced: list[Unplaced] = []
    promised: Promise | None = None
    turns = Turns(snapshot)
    for lane in turns:
        search = searches.get(lane.shape)
        if search is None:
            search = searches[lane.shape] = _Search(lane.shape, rooms)
        room = search.best()
        if room is None:
            promised = promised or promise(lane.head, rooms)
            unplaced += (Unplaced(run, search.refusals) for run in lane.rest())
            turns.blocked(lane)
        else:
            gpu = room.take(lane.shape)
            uuid = gpu.uuid if gpu else None
            placements.append(Placement(lane.head, room.worker.worker_id, uuid))
            turns.placed(lane)
    return Plan(tuple(placements), tuple(unplaced), promised)


class _Search:
    """The workers that may take one shape, best first."""

    __slots__ = ("_heap", "_shape", "refusals")

    def __init__(self, shape: Shape, rooms: tuple[Room, ...]) -> None:
        self._shape = shape
        self.refusals = Refusals(shape, rooms)
        self._heap: list[tuple[Rank, int, Room]] = [
            (rank(shape, room), room.changes, room) for room in rooms if fits(shape, room)
        ]
        heapq.heapify(self._heap)

    def best(self) -> Room | None:
        """Return the best room for one more run of the shape; None when there is none."""
        while self._heap:
            _, changes, room = self._heap[0]
            if changes == room.changes:
                return room
            if fits(self._shape, room):
                entry = (rank(self._shape, room), room.changes, room)
                heapq.heapreplace(self._heap, entry)
            else:
                heapq.heappop(self._heap)
        return None

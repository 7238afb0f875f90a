"""`plan(snapshot)`: the whole decision of who runs where, as one pure function.

Runs are taken in the order of `turns`; each gets the best worker it fits on (`gaps`), or its
reasons. Some are held back whatever room there is (`limits`). The first that finds no room has a
worker kept for it (`promises`), by displacing others if it is much more urgent than they
(`preemption`); the ones behind it go on where they cannot delay it. Room only shrinks while a plan
is made, so a shape that failed once fails for the rest of the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gyoza.server.scheduling.feasibility import Reason, could_ever, first_refusal, refusals
from gyoza.server.scheduling.gaps import Fleet
from gyoza.server.scheduling.limits import Rule, Tally
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.scheduling.promises import Kept, Promise, promise
from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.snapshot import GpuSnapshot, Holding, PendingRun, Shape, Snapshot
from gyoza.server.scheduling.turns import Lane, Turns


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

    def begun(self, now: datetime, ends_at: datetime | None) -> Holding:
        """Return what the run has of its worker once it has begun.

        Args:
            now: When it begins.
            ends_at: When it is expected to end; None when that is unknown.
        """
        run, shape = self.run, self.run.shape
        return Holding(
            since=now,
            cpu=shape.cpu,
            ram_mb=shape.ram_mb,
            vram_mb=shape.vram_mb,
            gpu_uuid=self.gpu_uuid,
            owner=run.owner,
            run_id=run.run_id,
            priority=run.priority,
            op=run.op,
            ends_at=ends_at,
        )


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
    def first_checks(self) -> list[str]:
        """The check that says no first, of each worker that says no."""
        firsts = (first_refusal(self.shape, room) for room in self._rooms)
        return [reason.check for reason in firsts if reason is not None]

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
    return _Planning(snapshot).made()


class _Planning:
    """A plan while it is made."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        workers = sorted(snapshot.workers, key=lambda worker: worker.worker_id)
        self._rooms = tuple(Room(worker) for worker in workers)
        self._fleet = Fleet(self._rooms)
        self._turns = Turns(snapshot)
        self._tally = Tally(snapshot)
        self._refusals: dict[Shape, Refusals] = {}
        self._hopeless: set[Shape] = set()
        self._placements: list[Placement] = []
        self._unplaced: list[Unplaced] = []
        self._kept: Kept | None = None

    def made(self) -> Plan:
        """Take turns until none is left, and return the plan."""
        for lane in self._turns:
            rule = self._tally.rule(lane.head)
            if rule is not None or not self._place(lane):
                self._leave(lane, rule)
        kept = self._kept
        return Plan(
            tuple(self._placements),
            tuple(self._unplaced),
            kept.promise if kept else None,
            kept.evictions if kept else (),
        )

    def _place(self, lane: Lane) -> bool:
        run, shape = lane.head, lane.shape
        room = None if shape in self._refusals else self._fleet.best(shape, run.image)
        if room is not None:
            self._placed(lane, room, room.take(shape))
            return True
        self._refusals.setdefault(shape, Refusals(shape, self._rooms))
        kept = self._kept
        if kept is None or not kept.lends_to(run, self._snapshot.now):
            return False
        self._placed(lane, kept.room, kept.room.lend(shape))
        return True

    def _placed(self, lane: Lane, room: Room, gpu: GpuSnapshot | None) -> None:
        run = lane.head
        uuid = gpu.uuid if gpu else None
        self._placements.append(Placement(run, room.worker.worker_id, uuid))
        self._fleet.shrank(room)
        self._tally.placed(run)
        self._turns.placed(lane)

    def _leave(self, lane: Lane, rule: Rule | None) -> None:
        run, shape = lane.head, lane.shape
        refusals = self._refusals.get(shape) or Refusals(shape, self._rooms)
        self._unplaced += (Unplaced(each, refusals, rule) for each in lane.rest())
        if rule is None and self._kept is None and shape not in self._hopeless:
            self._kept = promise(run, self._rooms, self._snapshot)
            if self._kept is None:
                self._hopeless.add(shape)
            else:
                self._fleet.shrank(self._kept.room)
        self._turns.blocked(lane)

"""Keeping a worker for the first run that finds no room, so that smaller ones cannot starve it.

Others may use what the run will not need of the worker that is kept. Which worker that is:

1. one where the run fits once attempts have ended that are being stopped already;
2. else one where a much more urgent run may displace others (`preemption`);
3. else the one where it fits first by what was learned of run times. Runs that will hardly last
   until then may use all of it meanwhile;
4. else, and always once the run has waited longer than `patience_s`, the one whose blocking
   attempts began earliest: the shortest row of its oldest attempts, after whose end the run fits.

Attempts that begin later never enter the row of the fourth rule, so from then on the wait is
bounded by attempts that already run. Learned times may lie, and who is overdue is expected later
and later: so the third rule may send a run from worker to worker, but only until its patience is
over. (Backfill with a reservation for the first job: Lifka, "The ANL/IBM SP Scheduling System",
1995, with learned times and start order in place of users' time limits.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from gyoza.server.scheduling.feasibility import has_room
from gyoza.server.scheduling.preemption import Eviction, displacement
from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.snapshot import Holding, PendingRun, Snapshot
from gyoza.server.scheduling.ways import Site, is_ending, sites


class Promise(NamedTuple):
    """A worker that is kept for a run.

    Attributes:
        run: Whom it is kept for.
        worker_id: The worker.
        gpu_uuid: The GPU; None when it needs none.
        starts_at: When the place is expected to be free, as far as was learned; None when unknown
            or not relied on.
    """

    run: PendingRun
    worker_id: str
    gpu_uuid: str | None
    starts_at: datetime | None = None


class Kept(NamedTuple):
    """A promise, and what it takes to keep it.

    Attributes:
        promise: The promise.
        room: The worker's room, kept from now on.
        evictions: Who has to give way.
    """

    promise: Promise
    room: Room
    evictions: tuple[Eviction, ...] = ()

    def lends_to(self, run: PendingRun, now: datetime) -> bool:
        """Whether a run may use what is kept: it fits and will hardly be there any more by then."""
        starts_at = self.promise.starts_at
        if starts_at is None or run.most_s is None:
            return False
        return now + timedelta(seconds=run.most_s) <= starts_at and has_room(run.shape, self.room)


def promise(run: PendingRun, rooms: Sequence[Room], snapshot: Snapshot) -> Kept | None:
    """Keep the best worker for a run that fits nowhere now.

    Args:
        run: The run.
        rooms: All rooms, by worker id.
        snapshot: Its moment, patience and gap.

    Returns:
        What was promised; None when no READY worker could take the run after its attempts' ends.
    """
    found = list(sites(run, rooms))
    way = _by_start(found, stopping=True)
    if way is not None:
        return _keep(way)
    displaced = displacement(run, found, snapshot)
    if displaced is not None:
        site, ended = displaced.site, displaced.ended
        kept = _keep(_Way(site, ended, snapshot.now))
        return kept._replace(evictions=displaced.evictions)
    waited_s = (snapshot.now - run.created_at).total_seconds()
    way = _by_end(found) if waited_s <= snapshot.patience_s else None
    if way is not None:
        return _keep(way, starts_at=way.last)
    way = _by_start(found)
    return None if way is None else _keep(way)


class _Way(NamedTuple):
    """A site, who has to end there, and when the last of them began or will end."""

    site: Site
    ended: list[Holding]
    last: datetime


def _by_start(found: Sequence[Site], *, stopping: bool = False) -> _Way | None:
    ways: list[_Way] = []
    for site in found:
        held = [each for each in site.room.worker.holdings if is_ending(each) or not stopping]
        row = site.row(sorted(held, key=lambda each: (each.since, *_name(each)))) if held else None
        if row:
            ways.append(_Way(site, row, row[-1].since))
    return _first(ways)


def _by_end(found: Sequence[Site]) -> _Way | None:
    ways: list[_Way] = []
    for site in found:
        held = site.room.worker.holdings
        ends = [(each.ends_at, *_name(each), each) for each in held if each.ends_at]
        ends = [each for each in ends if not each[-1].lost]
        ends.sort(key=lambda each: each[:-1])
        row = site.row([each[-1] for each in ends])
        if row:
            ways.append(_Way(site, row, ends[len(row) - 1][0]))
    return _first(ways)


def _first(ways: Sequence[_Way]) -> _Way | None:
    return min(ways, key=lambda way: (way.last, len(way.ended), way.site.place), default=None)


def _name(holding: Holding) -> tuple[str, str, int]:
    return holding.gpu_uuid or "", holding.run_id, holding.fence


def _keep(way: _Way, starts_at: datetime | None = None) -> Kept:
    site, room = way.site, way.site.room
    room.spare = site.spare(way.ended)
    made = Promise(site.run, room.worker.worker_id, site.gpu_uuid, starts_at)
    return Kept(made, room)

"""Whom a much more urgent run may displace, and the fewest of them that make room for it.

Only attempts of ops that say so give way, and only across a gap of base priority: a victim cannot
displace its displacer in turn. Nor can it come first again and get back its place by age alone,
since only those give way whose turn would be later than the run's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gyoza.server.scheduling.snapshot import Holding, PendingRun, Snapshot
from gyoza.server.scheduling.turns import aged_priority
from gyoza.server.scheduling.ways import Site, is_ending


class Eviction(NamedTuple):
    """An attempt that has to give way.

    Attributes:
        run_id: Whose attempt it is, and `fence` which.
        fence: The number it was assigned under.
        worker_id: Where it is.
        for_run_id: The run that gets its place.
    """

    run_id: str
    fence: int
    worker_id: str
    for_run_id: str


class Displacement(NamedTuple):
    """A place that victims make.

    Attributes:
        site: Where.
        victims: Who has to be stopped.
        stopping: Who is being stopped there already.
    """

    site: Site
    victims: list[Holding]
    stopping: list[Holding]

    @property
    def ended(self) -> list[Holding]:
        """Everything that will have ended when the run begins."""
        return [*self.stopping, *self.victims]

    @property
    def evictions(self) -> tuple[Eviction, ...]:
        """What has to be done, in the order of run ids."""
        worker_id, for_run_id = self.site.room.worker.worker_id, self.site.run.run_id
        ordered = sorted(self.victims, key=lambda each: (each.run_id, each.fence))
        return tuple(Eviction(each.run_id, each.fence, worker_id, for_run_id) for each in ordered)


def displacement(run: PendingRun, sites: Iterable[Site], snapshot: Snapshot) -> Displacement | None:
    """Return how the run gets a place at the least cost to others; None when it may not.

    Fewest victims first, then the lowest priorities, then the least work lost. What is being
    stopped already counts as room to come, so nobody gives way to a place that is on its way.
    """
    found: list[Displacement] = []
    for site in sites:
        held = site.room.worker.holdings
        stopping = [each for each in held if is_ending(each)]
        may = [each for each in held if _gives_way(each, run, snapshot)]
        victims = _fewest(site, stopping, may) if may else None
        if victims:
            found.append(Displacement(site, victims, stopping))
    return min(found, key=_cost, default=None)


def _gives_way(holding: Holding, run: PendingRun, snapshot: Snapshot) -> bool:
    if not holding.preemptible or holding.stops or holding.lost:
        return False
    if run.priority - holding.priority < snapshot.preemption_gap:
        return False
    now, ageing_s = snapshot.now, snapshot.ageing_s
    its_turn = aged_priority(run.priority, run.created_at, now, ageing_s)
    asked_at = holding.created_at or holding.since
    # A whole point, so that the whole points by which turns are taken differ too.
    return its_turn >= 1 + aged_priority(holding.priority, asked_at, now, ageing_s)


def _fewest(
    site: Site, stopping: Sequence[Holding], may: Sequence[Holding]
) -> list[Holding] | None:
    row = site.row([*stopping, *sorted(may, key=_harm)])
    if row is None:
        return None
    chosen = row[len(stopping) :]
    # Who was taken first may be needless once a larger one was taken too: put back what can be.
    for victim in reversed(chosen[:-1]):
        others = [each for each in chosen if each is not victim]
        if site.is_enough([*stopping, *others]):
            chosen = others
    return chosen


def _harm(holding: Holding) -> tuple[int, float, str]:
    return holding.priority, -holding.since.timestamp(), holding.run_id


def _cost(found: Displacement) -> tuple[int, int, float, tuple[str, str]]:
    victims = found.victims
    youngest = -sum(each.since.timestamp() for each in victims)
    return len(victims), max(each.priority for each in victims), youngest, found.site.place

"""A fleet over time, one plan a second: attempts begin, are asked to stop, and end when they do.

What the planner is told of run times and what is true are two different things here, so that an
adversary may lie.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gyoza.server.scheduling.planner import plan
from gyoza.server.scheduling.snapshot import Holding, PendingRun, Snapshot, WorkerSnapshot
from tests.unit.server.scheduling.properties import Planner
from tests.unit.server.scheduling.strategies import NOON

SECOND = timedelta(seconds=1)


@dataclass
class Attempt:
    """One attempt at work: where, for what, and when it truly ends."""

    worker_id: str
    run: PendingRun
    holding: Holding
    ends_at: datetime


@dataclass
class Fleet:
    """A fleet over time.

    Attributes:
        workers: What there is, empty.
        planner: Who plans.
        now: The moment of the last plan.
        told_s: What the planner is told that runs take; None tells nothing. An attempt that is over
            it is expected to take a quarter longer than it already has.
        patience_s: How long learned times may decide.
        stop_s: How long a displaced attempt takes to end.
        preemptible: Whose attempts give way.
    """

    workers: list[WorkerSnapshot]
    planner: Planner = plan
    now: datetime = NOON
    told_s: float | None = None
    patience_s: float = 3600.0
    stop_s: int = 2
    preemptible: frozenset[str] = frozenset()
    at_work: list[Attempt] = field(default_factory=list)
    started: dict[str, datetime] = field(default_factory=dict)
    displaced: list[str] = field(default_factory=list)

    def step(self, waiting: list[PendingRun], lasts: dict[str, int]) -> list[PendingRun]:
        """Let a second pass; returns who waits after it, displaced runs among them."""
        self.now += SECOND
        over = [each for each in self.at_work if each.ends_at <= self.now]
        self.at_work = [each for each in self.at_work if each.ends_at > self.now]
        back = [each.run for each in over if each.holding.stops]
        runs = tuple(replace(run, most_s=self.told_s) for run in [*waiting, *back])
        workers = tuple(map(self._loaded, self.workers))
        made = self.planner(Snapshot(self.now, runs, workers, patience_s=self.patience_s))
        for each in made.evictions:
            self._stop(each.run_id)
        for each in made.placements:
            self._begin(each.run, each.worker_id, lasts[each.run.run_id])
        placed = {each.run.run_id for each in made.placements}
        return [run for run in runs if run.run_id not in placed]

    def _begin(self, run: PendingRun, worker_id: str, lasts_s: int) -> None:
        holding = Holding(
            self.now,
            run.shape.cpu,
            run.shape.ram_mb,
            owner=run.owner,
            run_id=run.run_id,
            priority=run.priority,
            preemptible=run.run_id in self.preemptible,
            created_at=run.created_at,
        )
        self.at_work.append(Attempt(worker_id, run, holding, self.now + lasts_s * SECOND))
        self.started[run.run_id] = self.now

    def _stop(self, run_id: str) -> None:
        attempt = next(each for each in self.at_work if each.run.run_id == run_id)
        attempt.holding = replace(attempt.holding, stops=True)
        attempt.ends_at = min(attempt.ends_at, self.now + self.stop_s * SECOND)
        self.displaced.append(run_id)

    def _loaded(self, worker: WorkerSnapshot) -> WorkerSnapshot:
        mine = [each for each in self.at_work if each.worker_id == worker.worker_id]
        held = tuple(replace(each.holding, ends_at=self._expected(each.holding)) for each in mine)
        return replace(
            worker,
            holdings=held,
            reserved_cpu=sum(each.cpu for each in held),
            reserved_ram_mb=sum(each.ram_mb for each in held),
        )

    def _expected(self, holding: Holding) -> datetime | None:
        if self.told_s is None:
            return None
        usual = holding.since + timedelta(seconds=self.told_s)
        return usual if usual > self.now else self.now + (self.now - holding.since) / 4

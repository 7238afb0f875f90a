"""Whose turn it is: priority first, then fair share between owners, then age.

Two rounds. Among runs of one priority the owner who has the least of the fleet goes first, then the
older run. Of each priority's winner, the one with the highest effective priority is next: waiting
adds a point every `ageing_s`, a hundred at most, so that nothing waits for ever, and an owner's old
backlog does not outrank another owner's new run of the same priority. An owner's part of the fleet
is the largest of its parts of CPU, RAM and VRAM (dominant resource fairness: Ghodsi et al., NSDI
2011); it counts what runs and what this plan has placed. What an owner had lately makes its part
count up to double, and decides between owners who have the same: a burst costs the next one. Use
of under a sixty-fourth of the fleet is forgotten, so that after six half-lives anybody is as good
as new, and age decides again.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot, WorkerSnapshot

MOST_AGEING: Final = 100
_PAST_STEPS: Final = 64
_Age: TypeAlias = tuple[float, str]
_Turn: TypeAlias = tuple[int, float, str]
_Share: TypeAlias = tuple[float, int]


def aged_priority(priority: int, created_at: datetime, now: datetime, ageing_s: float) -> float:
    """Return a priority with what waiting adds to it."""
    return priority + _aged(created_at.timestamp(), now.timestamp(), ageing_s)


def _aged(at_s: float, now_s: float, ageing_s: float) -> float:
    return min(MOST_AGEING, max(0.0, now_s - at_s) / ageing_s)


class Shares:
    """Which part of the fleet each owner has.

    Args:
        workers: The fleet, with what is held of it.
        used: Which part of it owners had lately, from 0 to 1; absent is 0.
    """

    def __init__(self, workers: Iterable[WorkerSnapshot], used: Mapping[str | None, float]) -> None:
        fleet = tuple(workers)
        self._past = {owner: min(1.0, past) for owner, past in used.items()}
        self._total = (
            sum(worker.cpu for worker in fleet) or 1,
            sum(worker.ram_mb for worker in fleet) or 1,
            sum(gpu.vram_mb for worker in fleet for gpu in worker.gpus) or 1,
        )
        self._found: dict[str | None, _Share] = {}
        self._held: dict[str | None, tuple[int, int, int]] = {}
        for holding in (holding for worker in fleet for holding in worker.holdings):
            self._add(holding.owner, (holding.cpu, holding.ram_mb, holding.vram_mb))

    def of(self, owner: str | None) -> _Share:
        """The owner's largest part of any resource, and what it had lately, to be compared."""
        found = self._found.get(owner)
        if found is None:
            found = self._found[owner] = self._share(owner)
        return found

    def held(self) -> dict[str | None, float]:
        """The largest part of any resource that each owner who holds something has."""
        return {owner: self._part(owner) for owner in self._held}

    def give(self, owner: str | None, shape: Shape) -> None:
        """Count a run that was placed."""
        self._add(owner, (shape.cpu, shape.ram_mb, shape.vram_mb))
        self._found.pop(owner, None)

    def _share(self, owner: str | None) -> _Share:
        past = self._past.get(owner, 0.0)
        steps = int(past * _PAST_STEPS)
        return self._part(owner) * (1 + past), steps

    def _part(self, owner: str | None) -> float:
        held = self._held.get(owner)
        if held is None:
            return 0.0
        (cpu, ram_mb, vram_mb), (all_cpu, all_ram_mb, all_vram_mb) = held, self._total
        return max(cpu / all_cpu, ram_mb / all_ram_mb, vram_mb / all_vram_mb)

    def _add(self, owner: str | None, more: tuple[int, int, int]) -> None:
        cpu, ram_mb, vram_mb = self._held.get(owner, (0, 0, 0))
        self._held[owner] = (cpu + more[0], ram_mb + more[1], vram_mb + more[2])


class Lane:
    """Runs that are alike but for their age, oldest first: what holds one back holds all back.

    Attributes:
        owner: Their owner.
        shape: Their shape.
        age: When the head was submitted, in seconds since the epoch, and its id: lower is older.
    """

    __slots__ = ("_at", "_runs", "age", "owner", "shape")

    def __init__(self, runs: list[tuple[_Age, PendingRun]]) -> None:
        self._runs = runs
        self._at = 0
        self.age, first = runs[0]
        self.owner = first.owner
        self.shape = first.shape

    @property
    def head(self) -> PendingRun:
        """The run whose turn it would be."""
        return self._runs[self._at][1]

    def advance(self) -> bool:
        """Leave the head behind; False when it was the last."""
        self._at += 1
        if self._at == len(self._runs):
            return False
        self.age = self._runs[self._at][0]
        return True

    def rest(self) -> list[PendingRun]:
        """The head and everything behind it."""
        return [run for _, run in self._runs[self._at :]]


class Turns:
    """The lanes of a snapshot, asked again and again whose turn it is.

    Args:
        snapshot: What waits, and what is held.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._shares = Shares(snapshot.workers, snapshot.used)
        now_s, ageing_s = snapshot.now.timestamp(), snapshot.ageing_s
        lanes: dict[int, list[Lane]] = {}
        for lane in _lanes(snapshot.runs):
            lanes.setdefault(lane.head.priority, []).append(lane)
        self._levels = {
            priority: _Level(priority, of_priority, self._shares, now_s, ageing_s)
            for priority, of_priority in lanes.items()
        }

    def __iter__(self) -> Iterator[Lane]:
        """Yield the lane whose head is next; answer each by `placed` or `blocked`."""
        while self._levels:
            yield min(self._levels.values(), key=_Level.turn).best()

    def placed(self, lane: Lane) -> None:
        """The lane's head got a place: its owner has more now, the next run is the head."""
        priority = lane.head.priority
        self._shares.give(lane.owner, lane.shape)
        for level in self._levels.values():
            level.owner_has_more(lane.owner)
        if not self._levels[priority].advance(lane):
            del self._levels[priority]

    def blocked(self, lane: Lane) -> None:
        """Nobody takes the lane's head, hence none of the lane."""
        priority = lane.head.priority
        if not self._levels[priority].drop(lane):
            del self._levels[priority]


class _Level:
    """The lanes of one priority, by owner; the owner whose turn it is on top of a heap.

    Shares only grow and heads only get younger while a plan is made, so an entry may be better than
    its owner deserves by now but never worse: the top is looked at again before it counts.
    """

    def __init__(
        self, priority: int, lanes: list[Lane], shares: Shares, now_s: float, ageing_s: float
    ) -> None:
        self._priority = priority
        self._shares = shares
        self._now_s = now_s
        self._ageing_s = ageing_s
        self._lanes: dict[str | None, list[tuple[_Age, Lane]]] = {}
        for lane in lanes:
            self._lanes.setdefault(lane.owner, []).append((lane.age, lane))
        for queue in self._lanes.values():
            heapq.heapify(queue)
        self._heap = [self._entry(owner) for owner in self._lanes]
        heapq.heapify(self._heap)
        self._turn: _Turn | None = None

    def turn(self) -> _Turn:
        """The place of the level's winner among those of other levels; lower is earlier."""
        if self._turn is None:
            at_s, run_id = self.best().age
            aged = int(_aged(at_s, self._now_s, self._ageing_s))
            self._turn = (-self._priority - aged, at_s, run_id)
        return self._turn

    def best(self) -> Lane:
        """The lane whose turn it is within this level."""
        while True:
            entry = self._heap[0]
            owner = entry[-1]
            current = self._entry(owner)
            if current[:2] == entry[:2]:
                return self._lanes[owner][0][1]
            heapq.heapreplace(self._heap, current)

    def advance(self, lane: Lane) -> bool:
        """Go on behind the head of the lane whose turn it is; False when nothing is left here."""
        if not lane.advance():
            return self.drop(lane)
        heapq.heapreplace(self._lanes[lane.owner], (lane.age, lane))
        self._turn = None
        return True

    def drop(self, lane: Lane) -> bool:
        """Forget the lane whose turn it is; False when it was the last."""
        queue = self._lanes[lane.owner]
        heapq.heappop(queue)
        self._turn = None
        if not queue:
            del self._lanes[lane.owner]
            self._heap = [entry for entry in self._heap if entry[-1] != lane.owner]
            heapq.heapify(self._heap)
        return bool(self._lanes)

    def owner_has_more(self, owner: str | None) -> None:
        """Some owner's share has grown, which matters only among several."""
        if len(self._lanes) > 1 and owner in self._lanes:
            self._turn = None

    def _entry(self, owner: str | None) -> tuple[_Share, _Age, str | None]:
        # No two heads have the same age, since run ids differ: owners are never compared.
        return self._shares.of(owner), self._lanes[owner][0][0], owner


def _lanes(runs: Iterable[PendingRun]) -> list[Lane]:
    found: dict[tuple[Any, ...], list[tuple[_Age, PendingRun]]] = {}
    for run in runs:
        alike = (run.priority, run.owner, run.shape, run.op, run.image, run.most_s)
        lane = found.setdefault(alike, [])
        lane.append(((run.created_at.timestamp(), run.run_id), run))
    for lane in found.values():
        lane.sort(key=operator.itemgetter(0))
    return [Lane(lane) for lane in found.values()]

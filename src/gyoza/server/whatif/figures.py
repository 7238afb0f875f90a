"""The figures of an outcome: waits, use of each resource, and the queue over time.

A run's wait is from its submit to the first time it is placed. Use is what runs held, as a part of
what the fleet has, from the load's beginning to the end of the last run: the time a fleet idles at
the end while one run is left counts, as it does in life.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gyoza.server.whatif.load import LoadRun
from gyoza.server.whatif.outcome import Outcome, Ran

RESOURCES: Final = ("cpu", "ram", "vram")
_BUCKETS: Final = 120


@dataclass(frozen=True, slots=True)
class Waits:
    """How long some runs waited, in seconds; all 0 when there were none.

    Attributes:
        runs: How many were placed.
        mean_s: Their mean.
        p50_s: Half of them waited no longer.
        p90_s: Nine in ten waited no longer.
        p99_s: All but one in a hundred waited no longer.
        most_s: The longest.
    """

    runs: int
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    most_s: float


@dataclass(frozen=True, slots=True)
class Course:
    """What changes over time, as the mean of each of equal parts of the whole time.

    Attributes:
        part_s: How long one part is, in seconds.
        queued: Runs that wait and could be placed some day.
        used: What part of each resource is held, 0 to 1, by its name.
    """

    part_s: float
    queued: tuple[float, ...]
    used: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Figures:
    """What people want to know of an outcome.

    Attributes:
        runs: How many the load has.
        never: How many no worker could ever take.
        evictions: How often a run was stopped for a more urgent one.
        makespan_s: From the load's beginning until the last run ended.
        waits: Of all runs that were placed.
        used: What part of each resource was held, 0 to 1; of VRAM only where there is any.
        deepest: The most runs that waited at once.
        by: The waits of each owner, op and priority, in this order; a group is there only where
            there is more than one of its kind. Who has no name stands under "".
        course: Queue and use over time.
    """

    runs: int
    never: int
    evictions: int
    makespan_s: float
    waits: Waits
    used: Mapping[str, float]
    deepest: int
    by: Mapping[str, Mapping[str, Waits]]
    course: Course


def figures_of(outcome: Outcome) -> Figures:
    """Work out the figures."""
    first = _first_attempts(outcome.attempts)
    makespan_s = max((ran.ended_s for ran in outcome.attempts), default=0.0)
    course = _course(outcome, first, makespan_s)
    return Figures(
        runs=len(outcome.load.runs),
        never=len(outcome.never),
        evictions=sum(not ran.completed for ran in outcome.attempts),
        makespan_s=makespan_s,
        waits=_waits(_wait_s(outcome, ran) for ran in first),
        used={name: _mean(parts) for name, parts in course.used.items()},
        deepest=_deepest(outcome, first),
        by=_groups(outcome, first),
        course=course,
    )


def _first_attempts(attempts: Iterable[Ran]) -> list[Ran]:
    first: dict[int, Ran] = {}
    for ran in attempts:
        first.setdefault(ran.number, ran)
    return [first[number] for number in sorted(first)]


def _wait_s(outcome: Outcome, ran: Ran) -> float:
    return ran.started_s - outcome.load.runs[ran.number].submitted_s


def _waits(some: Iterable[float]) -> Waits:
    waits = sorted(some)
    if not waits:
        return Waits(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Waits(
        runs=len(waits),
        mean_s=_mean(waits),
        p50_s=_percentile(waits, 0.50),
        p90_s=_percentile(waits, 0.90),
        p99_s=_percentile(waits, 0.99),
        most_s=waits[-1],
    )


def _percentile(in_order: list[float], part: float) -> float:
    """The smallest of the values that so many of them do not exceed (nearest rank)."""
    return in_order[max(0, math.ceil(part * len(in_order)) - 1)]


def _mean(values: Iterable[float]) -> float:
    some = tuple(values)
    return math.fsum(some) / len(some) if some else 0.0


def _groups(outcome: Outcome, first: list[Ran]) -> dict[str, dict[str, Waits]]:
    kinds: dict[str, Callable[[LoadRun], str | None]] = {
        "owner": lambda run: run.owner,
        "op": lambda run: run.op,
        "priority": lambda run: str(run.priority),
    }
    found: dict[str, dict[str, Waits]] = {}
    for kind, of in kinds.items():
        members: dict[str, list[float]] = {}
        for ran in first:
            name = of(outcome.load.runs[ran.number]) or ""
            members.setdefault(name, []).append(_wait_s(outcome, ran))
        if len(members) > 1:
            found[kind] = {name: _waits(members[name]) for name in sorted(members, key=_by_number)}
    return found


def _by_number(name: str) -> tuple[int, str]:
    """Priorities by their value, highest first; names by the alphabet."""
    return (-int(name), "") if name.isdigit() else (0, name)


def _deepest(outcome: Outcome, first: list[Ran]) -> int:
    runs = outcome.load.runs
    changes = [(ran.started_s, -1) for ran in first]
    changes += [(runs[ran.number].submitted_s, 1) for ran in first]
    depth = deepest = 0
    # Who is placed at once has not waited: at one moment the starts count first.
    for _, change in sorted(changes):
        depth += change
        deepest = max(deepest, depth)
    return deepest


def _course(outcome: Outcome, first: list[Ran], makespan_s: float) -> Course:
    part_s = makespan_s / _BUCKETS or 1.0
    runs = outcome.load.runs
    queued = _Integral(part_s)
    for ran in first:
        queued.add(runs[ran.number].submitted_s, ran.started_s, 1)
    held = {name: _Integral(part_s) for name in RESOURCES}
    for ran in outcome.attempts:
        shape = runs[ran.number].shape
        for name, amount in zip(RESOURCES, (shape.cpu, shape.ram_mb, shape.vram_mb), strict=True):
            held[name].add(ran.started_s, ran.ended_s, amount)
    total = _totals(outcome)
    used = {name: held[name].means(total[name]) for name in RESOURCES if total[name]}
    return Course(part_s, queued.means(1), used)


def _totals(outcome: Outcome) -> dict[str, int]:
    boxes = outcome.fleet.boxes
    return {
        "cpu": sum(box.cpu * box.count for box in boxes),
        "ram": sum(box.ram_mb * box.count for box in boxes),
        "vram": sum(sum(box.gpus) * box.count for box in boxes),
    }


class _Integral:
    """Adds up amounts over time, in equal parts.

    What covers whole parts is noted at its two ends only, and carried on when it is read.
    """

    def __init__(self, part_s: float) -> None:
        self._part_s = part_s
        self._within = [0.0] * (_BUCKETS + 1)
        self._from = [0] * (_BUCKETS + 2)

    def add(self, start_s: float, end_s: float, amount: int) -> None:
        """Add an amount from one moment to another."""
        if not amount or end_s <= start_s:
            return
        first, last = (min(_BUCKETS, int(at_s / self._part_s)) for at_s in (start_s, end_s))
        if first == last:
            self._within[first] += amount * (end_s - start_s)
            return
        self._within[first] += amount * ((first + 1) * self._part_s - start_s)
        self._within[last] += amount * (end_s - last * self._part_s)
        self._from[first + 1] += amount
        self._from[last] -= amount

    def means(self, whole: int) -> tuple[float, ...]:
        """Return each part's mean, as a part of the whole."""
        means: list[float] = []
        throughout = 0
        for at in range(_BUCKETS):
            throughout += self._from[at]
            means.append((self._within[at] / self._part_s + throughout) / whole)
        return tuple(means)

"""What is to be run, and when: recorded as it was, or drawn from a description by a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from gyoza.server.scheduling.snapshot import Shape

_HOUR_S: Final = 3600.0
_SHORTEST_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One run of a load.

    Attributes:
        submitted_s: When it is submitted, in seconds from the load's beginning.
        duration_s: How long it takes once it is placed, all attempts together; from 1 ms.
        shape: What it needs.
        owner: Who asks for it; None is an owner like any other.
        op: Its op; None for an ad hoc image.
        priority: 0 to 100, higher first.
        preemptible: Whether it may be stopped for a much more urgent run, and begin anew.
    """

    submitted_s: float
    duration_s: float
    shape: Shape
    owner: str | None = None
    op: str | None = None
    priority: int = 5
    preemptible: bool = False


@dataclass(frozen=True, slots=True)
class LoadClass:
    """Runs that are alike, described by what is usual of them.

    Attributes:
        name: Names the class; its runs are drawn by the load's seed and this name, so that another
            class beside it changes none of them.
        per_hour: Runs submitted an hour, on average, at moments independent of each other.
        mean_s: Seconds they take, on average.
        spread: Standard deviation of that as a part of the mean; 0 makes all alike. Durations are
            log-normal: none is negative, a few are long.
        shape: What each needs.
        at_once: Runs submitted together each time, as a sweep does.
        from_s: When the first may come, in seconds from the load's beginning.
        until_s: When no more come; None is the load's end.
        owner: Who asks for them.
        op: Their op.
        priority: 0 to 100, higher first.
        preemptible: Whether they may be stopped for a much more urgent run.
    """

    name: str
    per_hour: float
    mean_s: float
    shape: Shape
    spread: float = 0.0
    at_once: int = 1
    from_s: float = 0.0
    until_s: float | None = None
    owner: str | None = None
    op: str | None = None
    priority: int = 5
    preemptible: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Runs in the order they are submitted.

    Attributes:
        name: What people call it.
        runs: By the moment they are submitted.
        span_s: How long it lasts, in seconds from its beginning; at least until the last submit.
        left_out: What could not be taken into it, in words, such as runs that have not ended.
    """

    name: str
    runs: tuple[LoadRun, ...]
    span_s: float
    left_out: tuple[str, ...] = ()


def recorded(name: str, runs: Sequence[LoadRun], left_out: tuple[str, ...] = ()) -> Load:
    """Return a load of runs as they were, its beginning moved to the first of them."""
    in_order = sorted(runs, key=lambda run: run.submitted_s)
    return Load(name, tuple(in_order), in_order[-1].submitted_s if in_order else 0.0, left_out)


def drawn(name: str, classes: Sequence[LoadClass], span_s: float, seed: int) -> Load:
    """Draw a load from a description; the same for the same seed.

    Args:
        name: What people call it.
        classes: What comes.
        span_s: How long it goes on, in seconds.
        seed: Of the moments and durations.
    """
    runs = [run for each in classes for run in _of_class(each, span_s, seed)]
    return Load(name, tuple(sorted(runs, key=lambda run: run.submitted_s)), span_s)


def _of_class(kind: LoadClass, span_s: float, seed: int) -> Iterator[LoadRun]:
    random = Random(f"{seed}/{kind.name}")  # noqa: S311 - a replay, no secret
    until_s = span_s if kind.until_s is None else min(kind.until_s, span_s)
    gap_s = _HOUR_S * kind.at_once / kind.per_hour
    at_s = kind.from_s + random.expovariate(1 / gap_s)
    while at_s < until_s:
        for _ in range(kind.at_once):
            duration_s = max(_SHORTEST_S, _duration_s(kind, random))
            yield LoadRun(
                at_s, duration_s, kind.shape, kind.owner, kind.op, kind.priority, kind.preemptible
            )
        at_s += random.expovariate(1 / gap_s)


def _duration_s(kind: LoadClass, random: Random) -> float:
    if not kind.spread:
        return kind.mean_s
    variance = math.log(1 + kind.spread**2)
    return random.lognormvariate(math.log(kind.mean_s) - variance / 2, math.sqrt(variance))

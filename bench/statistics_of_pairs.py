"""What every comparison prints: medians, and the ratio of two paired series with its interval.

Machines are shared and drift, so two things are compared only when they were measured in turn, and
the interval comes from resampling the pairs (percentile bootstrap), never from one series alone.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 5_000


@dataclass(frozen=True)
class Ratio:
    """The ratio of the medians of two paired series, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % interval {self.low:.3f} to {self.high:.3f})"


def ratio_of_medians(pairs: Sequence[tuple[float, float]], *, seed: int = 1) -> Ratio:
    """Compare the first of each pair with the second.

    Args:
        pairs: Two durations each, measured right after one another.
        seed: Of the resampling, so that a stored series gives the same interval again.
    """
    source = random.Random(seed)
    resampled = sorted(_ratio([source.choice(pairs) for _ in pairs]) for _ in range(RESAMPLES))
    low, high = resampled[int(RESAMPLES * 0.025)], resampled[int(RESAMPLES * 0.975)]
    return Ratio(_ratio(pairs), low, high)


def describe(name: str, durations_ms: Sequence[float]) -> str:
    """One line: median, quartiles and count of a series in milliseconds."""
    low, median, high = statistics.quantiles(durations_ms, n=4)
    figures = f"median {median:8.1f} ms   quartiles {low:8.1f} {high:8.1f}"
    return f"{name:<34} {figures}   n {len(durations_ms)}"


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    first, second = zip(*pairs, strict=True)
    return statistics.median(first) / statistics.median(second)

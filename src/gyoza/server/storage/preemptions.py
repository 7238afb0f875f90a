"""Which attempts may be stopped for a more urgent run, told from a run: kept as a column of it."""

from __future__ import annotations

from typing import Final

from gyoza.models import OpRun

PREEMPTED: Final = "PREEMPTED"
"""Reason of an attempt that was stopped for a more urgent run."""

MOST_PREEMPTIONS: Final = 5
"""So often a run gives way; whoever has lost that much is not stopped any more."""


def preemptions(run: OpRun) -> int:
    """How often the run has given way."""
    return sum(attempt.reason == PREEMPTED for attempt in run.attempts)


def may_give_way(run: OpRun) -> bool:
    """Whether the run may be stopped for a more urgent one: its op says so, and not too often."""
    return run.execution.preemptible and preemptions(run) < MOST_PREEMPTIONS

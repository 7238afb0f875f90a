"""What became of a load on a fleet: every attempt with its place and times."""

from __future__ import annotations

from dataclasses import dataclass

from gyoza.server.whatif.fleet import Fleet
from gyoza.server.whatif.load import Load


@dataclass(frozen=True, slots=True)
class Ran:
    """One attempt.

    Attributes:
        number: Which run of the load it is of.
        worker_id: Where it was.
        gpu_uuid: On which GPU; None without one.
        started_s: When it was placed, in seconds from the load's beginning.
        ended_s: When it let its place go.
        completed: Whether it came to its end; it was stopped for a more urgent run if not.
    """

    number: int
    worker_id: str
    gpu_uuid: str | None
    started_s: float
    ended_s: float
    completed: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay gives.

    Attributes:
        load: What was run.
        fleet: On what.
        attempts: In the order they ended.
        never: Numbers of the runs that no worker of the fleet could take, empty and well.
        plans: How many times the planner was asked.
        step_s: Seconds of virtual time between two plans at least; 0 plans at every event.
    """

    load: Load
    fleet: Fleet
    attempts: tuple[Ran, ...]
    never: tuple[int, ...]
    plans: int
    step_s: float

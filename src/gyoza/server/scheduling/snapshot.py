"""What the planner sees: pending runs and workers at one moment, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

WorkerState = Literal["READY", "DRAINING", "UNHEALTHY", "SILENT", "LOST"]
PREEMPTION_GAP: Final = 10
"""Points of priority between a run and those it may displace: Nomad's distance."""
PATIENCE_S: Final = 3600.0
"""How long a run may be kept waiting by learned times that turn out wrong."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a run needs of a worker; runs of one shape fit the same places.

    Attributes:
        cpu: Whole CPUs.
        ram_mb: Megabytes of RAM.
        vram_mb: Megabytes on one GPU; 0 needs no GPU.
        selectors: Worker tags that must match, sorted by name.
    """

    cpu: int = 0
    ram_mb: int = 0
    vram_mb: int = 0
    selectors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A run that waits and is due.

    Attributes:
        run_id: The run.
        priority: Higher first.
        created_at: Older first among equals.
        shape: What it needs.
        owner: Who asked for it; None is an owner like any other.
        op: Its op; None for an ad hoc image.
        image: Digest of its image where that is known, else the reference.
        most_s: Seconds that it will hardly exceed once placed, learned from runs like it; None
            while too few are known.
        usual_s: Seconds that half of the runs like it take; None while too few are known.
    """

    run_id: str
    priority: int
    created_at: datetime
    shape: Shape
    owner: str | None = None
    op: str | None = None
    image: str = ""
    most_s: float | None = None
    usual_s: float | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What one attempt has of a worker.

    Attributes:
        since: When it was reserved.
        cpu: Whole CPUs.
        ram_mb: Megabytes of RAM.
        vram_mb: Megabytes on the GPU `gpu_uuid`; 0 and None without a GPU.
        owner: Whose run it is.
        run_id: The run, and `fence` which of its attempts.
        priority: The run's.
        op: The run's op; None for an ad hoc image.
        preemptible: Whether it may be stopped for a much more urgent run.
        stops: Whether its worker was asked to stop it.
        lost: Whether the run went on elsewhere, or ended, while this attempt's container may still
            be there.
        ends_at: When it is expected to end, from runs like it; None when that is unknown.
        created_at: When its run was submitted, from which its age would count again if it had to
            wait; None stands for `since`.
    """

    since: datetime
    cpu: int
    ram_mb: int
    vram_mb: int = 0
    gpu_uuid: str | None = None
    owner: str | None = None
    run_id: str = ""
    fence: int = 0
    priority: int = 0
    op: str | None = None
    preemptible: bool = False
    stops: bool = False
    lost: bool = False
    ends_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    """One GPU.

    Attributes:
        uuid: Its identity.
        index: What people call it.
        vram_mb: What it has.
        used_mb: What others than gyoza use of it.
        reserved_mb: What unfreed reservations add up to.
        problem: Why it gets no work, in words; "" when it is well.
    """

    uuid: str
    index: int
    vram_mb: int
    used_mb: int = 0
    reserved_mb: int = 0
    problem: str = ""

    @property
    def free_mb(self) -> int:
        """Megabytes nobody has; foreign use counts as taken, and free is never below 0."""
        return max(0, self.vram_mb - self.used_mb - self.reserved_mb)


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """One worker: what it offers, and what its unfreed reservations took of it.

    Attributes:
        worker_id: The worker.
        name: What people call it.
        state: Only READY workers get work.
        cpu: Whole CPUs it offers.
        ram_mb: Megabytes of RAM it offers.
        gpus: Its GPUs.
        tags: Its tags.
        reserved_cpu: CPUs that unfreed reservations hold.
        reserved_ram_mb: Megabytes that unfreed reservations hold.
        detail: Why it is not READY, in words; "" when there is nothing to say.
        holdings: What those reservations are, in any order: fair share and promises rest on them.
            What is reserved and not named here counts as nobody's and as staying for ever.
        images: Digests and references of the images it has.
    """

    worker_id: str
    name: str
    state: WorkerState
    cpu: int
    ram_mb: int
    gpus: tuple[GpuSnapshot, ...] = ()
    tags: dict[str, str] = field(default_factory=dict[str, str])
    reserved_cpu: int = 0
    reserved_ram_mb: int = 0
    detail: str = ""
    holdings: tuple[Holding, ...] = ()
    images: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds runs back whatever room there is.

    Attributes:
        paused: Ops of which nothing is placed.
        op_most: How many attempts of an op may be at work at once; ops without a limit are absent.
        owner_most: Likewise for owners.
    """

    paused: frozenset[str] = frozenset()
    op_most: Mapping[str, int] = field(default_factory=dict[str, int])
    owner_most: Mapping[str | None, int] = field(default_factory=dict["str | None", int])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a plan rests on.

    Attributes:
        now: The moment it was taken.
        runs: Runs that wait and are due, in any order.
        workers: All workers, in any order.
        ageing_s: Seconds of waiting that count as one point of priority.
        limits: What holds runs back whatever room there is.
        preemption_gap: Points of priority that a run must have above an attempt to take its place.
        patience_s: Seconds of waiting after which a run's place no longer rests on learned times.
        used: What owners had of the fleet lately, as a part of it from 0 to 1; absent is 0.
    """

    now: datetime
    runs: tuple[PendingRun, ...]
    workers: tuple[WorkerSnapshot, ...]
    ageing_s: float = 600.0
    limits: Limits = field(default_factory=Limits)
    preemption_gap: int = PREEMPTION_GAP
    patience_s: float = PATIENCE_S
    used: Mapping[str | None, float] = field(default_factory=dict["str | None", float])

"""A worker in virtual time: what it holds, counted apart from the planner's own arithmetic.

Every placement is checked again before it is taken, so that a replay is also a proof: a planner
that over-commits a worker does not get a figure but an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from gyoza.server.scheduling.selectors import all_match
from gyoza.server.scheduling.snapshot import Holding, Shape, WorkerSnapshot
from gyoza.server.storage.records import RunTimes
from gyoza.server.use_cases.durations import expected_end

_WITHOUT_NEED: Final = 1_000_000


class Overcommitted(Exception):
    """A planner placed a run where there is no room for it.

    Args:
        run_id: The run.
        worker_id: The worker.
        shape: What the run needs.
    """

    def __init__(self, run_id: str, worker_id: str, shape: Shape) -> None:
        super().__init__(f"{run_id} does not fit on {worker_id}: it needs {shape}")


@dataclass(slots=True)
class Held:
    """What one attempt has of a host.

    Attributes:
        holding: As the planner sees it.
        learned: What was known of runs like it when it was placed; None when nothing was.
    """

    holding: Holding
    learned: RunTimes | None


class Host:
    """A worker and what it holds.

    Args:
        worker: As it is while it holds nothing.
    """

    __slots__ = ("_looks_new_from", "_snapshot", "cpu", "held", "ram_mb", "vram_mb", "worker")

    def __init__(self, worker: WorkerSnapshot) -> None:
        self.worker = worker
        self.held: dict[str, Held] = {}
        self.cpu = worker.cpu
        self.ram_mb = worker.ram_mb
        self.vram_mb = {gpu.uuid: gpu.vram_mb for gpu in worker.gpus}
        self._snapshot: WorkerSnapshot | None = worker
        self._looks_new_from: datetime | None = None

    def times(self, shape: Shape) -> int:
        """How many runs of a shape find room at once; never too few."""
        if not all_match(shape.selectors, self.worker.tags):
            return 0
        times = [_WITHOUT_NEED]
        if shape.cpu:
            times.append(self.cpu // shape.cpu)
        if shape.ram_mb:
            times.append(self.ram_mb // shape.ram_mb)
        if shape.vram_mb:
            times.append(sum(free // shape.vram_mb for free in self.vram_mb.values()))
        return min(times)

    def take(self, holding: Holding, shape: Shape, learned: RunTimes | None) -> None:
        """Hold one more attempt.

        Raises:
            Overcommitted: There is no room for it.
        """
        uuid = holding.gpu_uuid
        has_gpu = not shape.vram_mb or self.vram_mb.get(uuid or "", 0) >= shape.vram_mb
        if not self.times(shape) or not has_gpu:
            raise Overcommitted(holding.run_id, self.worker.worker_id, shape)
        self.cpu -= shape.cpu
        self.ram_mb -= shape.ram_mb
        if uuid is not None:
            self.vram_mb[uuid] -= shape.vram_mb
        self.held[holding.run_id] = Held(holding, learned)
        self._snapshot = None
        if holding.op is not None:
            self.worker = replace(self.worker, images=self.worker.images | {holding.op})

    def free(self, run_id: str) -> Holding:
        """Let an attempt go; returns what it had."""
        holding = self.held.pop(run_id).holding
        self.cpu += holding.cpu
        self.ram_mb += holding.ram_mb
        if holding.gpu_uuid is not None:
            self.vram_mb[holding.gpu_uuid] += holding.vram_mb
        self._snapshot = None
        return holding

    def stop(self, run_id: str) -> None:
        """Note that an attempt was asked to end."""
        held = self.held[run_id]
        held.holding = replace(held.holding, stops=True)
        self._snapshot = None

    def snapshot(self, now: datetime) -> WorkerSnapshot:
        """Return the host as the planner sees it at a moment.

        Made anew only when something changed, or when an attempt is over the time it was expected
        to take: a fleet is looked at thousands of times, and most of it is as it was.
        """
        stale = self._looks_new_from is not None and self._looks_new_from <= now
        if self._snapshot is None or stale:
            self._snapshot = self._look(now)
        return self._snapshot

    def _look(self, now: datetime) -> WorkerSnapshot:
        worker = self.worker
        holdings = tuple(_expected(held, now) for held in self.held.values())
        ends = [each.ends_at for each in holdings if each.ends_at is not None]
        self._looks_new_from = min(ends, default=None)
        return replace(
            worker,
            gpus=tuple(
                replace(gpu, reserved_mb=gpu.vram_mb - self.vram_mb[gpu.uuid])
                for gpu in worker.gpus
            ),
            reserved_cpu=worker.cpu - self.cpu,
            reserved_ram_mb=worker.ram_mb - self.ram_mb,
            holdings=holdings,
        )


def _expected(held: Held, now: datetime) -> Holding:
    holding = held.holding
    if holding.ends_at is None or holding.ends_at <= now:
        ends_at = expected_end(held.learned, holding.since, now)
        if ends_at is not None:
            holding = held.holding = replace(holding, ends_at=ends_at)
    return holding

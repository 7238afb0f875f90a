"""Why each waiting run of a page waits, in a sentence: cheap, by one look at fleet and limits.

No plan is made: what is told is what the room that is free now allows. `explanation` plans, and
knows more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from gyoza.models import OpRun, OpRunState
from gyoza.server.scheduling import explain
from gyoza.server.scheduling.feasibility import fits
from gyoza.server.scheduling.planner import Refusals, Verdict
from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.snapshot import Shape, Snapshot, WorkerSnapshot
from gyoza.server.settings import Settings
from gyoza.server.storage.records import Reservation
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.dispatch import shape_of
from gyoza.server.use_cases.holds import Holds, holders
from gyoza.server.use_cases.limits import read_limits
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.worker_states import worker_snapshot
from gyoza.wire.messages import JsonObject


def shape_of_run(run: OpRun, settings: Settings) -> Shape:
    """Return what a run's current attempt needs."""
    named, selectors = run.current_attempt.constraints, run.execution.selectors
    return shape_of(named.cpu, named.ram_mb, named.vram_mb, selectors, settings)


def verdict_of(refusals: Refusals, workers: Sequence[WorkerSnapshot]) -> Verdict:
    """Return the verdict on a run; where no worker is registered yet there is none against it."""
    return refusals.verdict if workers else Verdict.LATER


class Waiting:
    """Looks once, when the first waiting run is asked about; then answers by shape.

    Args:
        uow: The unit of work that the runs were read in.
        outside: Settings.
    """

    def __init__(self, uow: UnitOfWork, outside: Outside) -> None:
        self._uow = uow
        self._outside = outside
        self._by_shape: dict[Shape, tuple[Verdict, str]] = {}

    def document(self, run: OpRun) -> JsonObject | None:
        """Return `verdict`, `rule` and `summary` of a waiting run; None for any other."""
        if run.state is not OpRunState.PENDING:
            return None
        verdict, summary = self._of_shape(shape_of_run(run, self._outside.settings))
        hold = self.holds.on(run)
        # Whoever could never run need not be told what else holds it back.
        if hold is not None and verdict is not Verdict.NEVER:
            summary = hold.text
        rule = None if hold is None else hold.name
        return {"verdict": verdict.value, "rule": rule, "summary": summary}

    @cached_property
    def holds(self) -> Holds:
        """What holds runs back now."""
        limits = read_limits(self._uow, self._outside.settings, self._reserved)
        snapshot = Snapshot(self._uow.now(), (), self._workers, limits=limits)
        return Holds(snapshot, holders(self._reserved))

    @cached_property
    def _reserved(self) -> dict[str, list[Reservation]]:
        return self._uow.assignments.reserved_by_worker()

    @cached_property
    def _workers(self) -> tuple[WorkerSnapshot, ...]:
        now, settings = self._uow.now(), self._outside.settings
        return tuple(
            worker_snapshot(worker, self._reserved.get(worker.id, ()), now, settings)
            for worker in self._uow.workers.list()
        )

    @cached_property
    def _rooms(self) -> tuple[Room, ...]:
        return tuple(Room(worker) for worker in self._workers)

    def _of_shape(self, shape: Shape) -> tuple[Verdict, str]:
        if shape not in self._by_shape:
            self._by_shape[shape] = self._looked_up(shape)
        return self._by_shape[shape]

    def _looked_up(self, shape: Shape) -> tuple[Verdict, str]:
        if any(fits(shape, room) for room in self._rooms):
            return Verdict.LATER, "there is room for it; it waits for its turn"
        refusals = Refusals(shape, self._rooms)
        return verdict_of(refusals, self._workers), explain.summary(refusals, self._workers)

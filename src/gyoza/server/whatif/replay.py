"""Replaying a load: submits and ends in virtual time, and the planner in between.

Deterministic: the same load, fleet and planner give the same outcome. A look at the planner that
could not place anything is left out, which changes nothing: what was refused by the last plan can
only fit where something ended since, or on the worker that was kept for somebody else. Where runs
may be displaced, every look counts.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from gyoza.server.scheduling.feasibility import could_ever
from gyoza.server.scheduling.planner import Placement, Plan, plan
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot
from gyoza.server.storage.records import RunTimes
from gyoza.server.use_cases.durations import expected_end, most_seconds, usual_seconds
from gyoza.server.whatif.fleet import Fleet
from gyoza.server.whatif.host import Host
from gyoza.server.whatif.load import Load
from gyoza.server.whatif.outcome import Outcome, Ran
from gyoza.server.whatif.waiting import Waiting

Planner: TypeAlias = Callable[[Snapshot], Plan]

_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_LANES: Final = 2_000
# What an attempt that has to give way is left to end in.
_GRACE_S: Final = 10.0
# The dispatcher looks again so often even when nothing happens.
_POLL_S: Final = 5.0
_MOST_POLLS: Final = 100_000
_EXACT_RUNS: Final = 10_000
_MOST_PLANS: Final = 20_000


class Stalled(Exception):
    """A planner places nothing although nothing is at work.

    Args:
        waiting: How many runs wait.
    """

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} runs wait on a fleet that is empty, and none is placed")


@dataclass(frozen=True, slots=True)
class _AtWork:
    number: int
    fence: int
    host: Host
    gpu_uuid: str | None
    started_s: float


def step_for(load: Load, fleet: Fleet) -> float:
    """Return how far apart plans should be, in seconds, so that a replay takes a minute at most.

    0, a plan at every event, up to 10,000 runs; for larger loads about 20,000 plans in all.
    """
    if len(load.runs) <= _EXACT_RUNS:
        return 0.0
    return max(load.span_s, _busy_s(load, fleet)) / _MOST_PLANS


def _busy_s(load: Load, fleet: Fleet) -> float:
    cpu = sum(box.cpu * box.count for box in fleet.boxes)
    ram_mb = sum(box.ram_mb * box.count for box in fleet.boxes)
    wanted_cpu = sum(run.shape.cpu * run.duration_s for run in load.runs)
    wanted_ram = sum(run.shape.ram_mb * run.duration_s for run in load.runs)
    return max(wanted_cpu / (cpu or 1), wanted_ram / (ram_mb or 1))


def replay(
    load: Load,
    fleet: Fleet,
    *,
    step_s: float = 0.0,
    planner: Planner = plan,
    leaves_gaps: bool = False,
) -> Outcome:
    """Replay a load on a fleet until the last run ended.

    Args:
        load: What is submitted, and how long it takes.
        fleet: On what.
        step_s: Seconds of virtual time between two plans at least; 0 plans at every event.
        planner: Decides; the server's own unless another is to be compared with it.
        leaves_gaps: Whether the planner lets runs wait that would fit elsewhere than on the worker
            it keeps for somebody; the server's own does not, which makes looks cheaper.

    Raises:
        Overcommitted: The planner placed a run where there is no room.
        Stalled: The planner places nothing although nothing is at work.
    """
    return _Replay(load, fleet, step_s, planner, leaves_gaps=leaves_gaps).run()


class _Replay:
    def __init__(
        self,
        load: Load,
        fleet: Fleet,
        step_s: float,
        planner: Planner,
        *,
        leaves_gaps: bool = False,
    ) -> None:
        self._leaves_gaps = leaves_gaps
        self._load, self._fleet, self._step_s, self._planner = load, fleet, step_s, planner
        workers = fleet.workers()
        self._hosts = {worker.worker_id: Host(worker) for worker in workers}
        shapes = {run.shape for run in load.runs}
        self._hopeless = {
            shape for shape in shapes if not any(could_ever(shape, each) for each in workers)
        }
        self._displaces = any(run.preemptible for run in load.runs)
        self._arrived = 0
        self._waiting = Waiting(load.runs, _MOST_LANES)
        self._at_work: dict[str, _AtWork] = {}
        self._ends: list[tuple[float, str, int, bool]] = []
        self._times: dict[str, RunTimes] = {}
        self._fences: dict[int, int] = {}
        self._refused: set[Shape] = set()
        self._reopened: set[str] = set()
        self._now_s = 0.0
        self._attempts: list[Ran] = []
        self._plans = 0

    def run(self) -> Outcome:
        planned_s = -self._step_s
        while (at_s := self._next_event_s()) is not None:
            self._happen(at_s)
            if not self._waiting.count:
                continue
            due_s = planned_s + self._step_s
            # Events before the next plan is due happen first; then the plan sees them all.
            while self._now_s < due_s and (at_s := self._next_event_s(due_s)) is not None:
                self._happen(at_s)
            self._now_s = max(self._now_s, due_s)
            if self._could_place():
                planned_s = self._now_s
                self._look()
            if not self._ends and self._arrived == len(self._load.runs):
                self._poll()
        never = (n for n, run in enumerate(self._load.runs) if run.shape in self._hopeless)
        attempts = tuple(self._attempts)
        return Outcome(self._load, self._fleet, attempts, tuple(never), self._plans, self._step_s)

    # --- what happens ------------------------------------------------------------------------

    def _next_event_s(self, before_s: float | None = None) -> float | None:
        runs, at = self._load.runs, self._arrived
        moments = [self._ends[0][0]] if self._ends else []
        if at < len(runs):
            moments.append(runs[at].submitted_s)
        first = min(moments, default=None)
        return None if first is None or (before_s is not None and first > before_s) else first

    def _happen(self, at_s: float) -> None:
        self._now_s = max(self._now_s, at_s)
        while self._ends and self._ends[0][0] <= at_s:
            self._end(*heapq.heappop(self._ends))
        runs = self._load.runs
        while self._arrived < len(runs) and runs[self._arrived].submitted_s <= at_s:
            if runs[self._arrived].shape not in self._hopeless:
                self._waiting.add(self._arrived)
            self._arrived += 1

    def _end(self, at_s: float, run_id: str, fence: int, completed: bool) -> None:  # noqa: FBT001
        work = self._at_work.get(run_id)
        if work is None or work.fence != fence:
            return  # an attempt has two ends when it is stopped: the earlier one counts
        del self._at_work[run_id]
        holding = work.host.free(run_id)
        worker_id = work.host.worker.worker_id
        self._reopened.add(worker_id)
        ran = Ran(work.number, worker_id, work.gpu_uuid, work.started_s, at_s, completed)
        self._attempts.append(ran)
        if not completed:
            self._waiting.add(work.number)
        elif holding.op is not None:
            known = self._times.get(holding.op, RunTimes())
            self._times[holding.op] = known.with_another(at_s - work.started_s)

    # --- planning ----------------------------------------------------------------------------

    def _could_place(self) -> bool:
        return self._displaces or any(self._room_for(each) for each in self._waiting.shapes())

    def _room_for(self, shape: Shape) -> int:
        hosts: Iterable[Host] = self._hosts.values()
        if shape in self._refused:
            hosts = (self._hosts[worker_id] for worker_id in self._reopened)
        return sum(host.times(shape) for host in hosts)

    def _look(self) -> None:
        self._plans += 1
        now = _moment(self._now_s)
        window = tuple(self._pending(number) for number in self._waiting.window(self._room_for))
        workers = tuple(host.snapshot(now) for host in self._hosts.values())
        made = self._planner(Snapshot(now, window, workers))
        self._reopened = {made.promise.worker_id} if made.promise else set()
        for placement in made.placements:
            self._place(placement, now)
        for eviction in made.evictions:
            self._evict(eviction)
        self._refused = set() if self._leaves_gaps else self._waiting.shapes()

    def _pending(self, number: int) -> PendingRun:
        run = self._load.runs[number]
        learned = self._times.get(run.op) if run.op is not None else None
        return PendingRun(
            run_id=_run_id(number),
            priority=run.priority,
            created_at=_moment(run.submitted_s),
            shape=run.shape,
            owner=run.owner,
            op=run.op,
            image=run.op or "",
            most_s=most_seconds(learned),
            usual_s=usual_seconds(learned),
        )

    def _place(self, placement: Placement, now: datetime) -> None:
        number = _number(placement.run.run_id)
        run, run_id = self._load.runs[number], placement.run.run_id
        host = self._hosts[placement.worker_id]
        learned = self._times.get(run.op) if run.op is not None else None
        fence = self._fences[number] = self._fences.get(number, 0) + 1
        begun = placement.begun(now, expected_end(learned, now, now))
        holding = replace(begun, fence=fence, preemptible=run.preemptible)
        host.take(holding, run.shape, learned)
        self._waiting.remove(number)
        self._at_work[run_id] = _AtWork(number, fence, host, placement.gpu_uuid, self._now_s)
        heapq.heappush(self._ends, (self._now_s + run.duration_s, run_id, fence, True))

    def _evict(self, eviction: Eviction) -> None:
        self._reopened.add(eviction.worker_id)
        self._hosts[eviction.worker_id].stop(eviction.run_id)
        stopped = (self._now_s + _GRACE_S, eviction.run_id, eviction.fence, False)
        heapq.heappush(self._ends, stopped)

    def _poll(self) -> None:
        """Nothing will happen any more, but the dispatcher looks again after a while."""
        for _ in range(_MOST_POLLS):
            if not self._waiting.count or self._ends:
                return
            self._now_s += _POLL_S
            self._look()
        raise Stalled(self._waiting.count)


def _moment(seconds: float) -> datetime:
    return _BEGINNING + timedelta(seconds=seconds)


def _run_id(number: int) -> str:
    return f"run_{number:08d}"


def _number(run_id: str) -> int:
    return int(run_id.removeprefix("run_"))

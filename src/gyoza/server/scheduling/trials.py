"""Which single change would let a waiting run start now: tried on the real planner, never guessed.

Each trial changes one thing of the snapshot and plans it; a change is named only when the run found
a place. Trials stop after a bounded amount of work, the likeliest changes coming first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from shlex import quote
from typing import Final, Literal, NamedTuple, TypeAlias

from gyoza.server.scheduling.feasibility import could_ever
from gyoza.server.scheduling.forecast import without
from gyoza.server.scheduling.planner import Placement, plan
from gyoza.server.scheduling.selectors import all_match, tags_for
from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Limits,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)

ChangeName: TypeAlias = Literal[
    "resume_op",
    "op_limit",
    "owner_limit",
    "end_run",
    "resume_worker",
    "worker_back",
    "resume_gpu",
    "priority",
    "worker_tag",
    "new_worker",
    "less_ram",
    "less_vram",
    "less_cpu",
]
MOST_PRIORITY: Final = 100
# A trial looks at every run and worker; all trials together take well under a second.
_MOST_WORK: Final = 600_000
_PER_KIND: Final = 3
_NEW: Final = "new"
_Starts: TypeAlias = Callable[[int], bool]


class Change(NamedTuple):
    """A change after which the run would start at once.

    Attributes:
        name: What kind of change it is.
        text: What to change, for people.
        worker: Name of the worker that would take the run; "" for one that does not exist yet.
        command: What to type for it; None when no command does it.
    """

    name: ChangeName
    text: str
    worker: str
    command: str | None = None


class Changes(NamedTuple):
    """What was found.

    Attributes:
        found: The changes, the likeliest first.
        all_tried: False when trying was given up because the fleet or the queue is too large.
    """

    found: tuple[Change, ...]
    all_tried: bool


class _ExhaustedError(Exception):
    """The work that trials may do is used up."""


def changes_for(run: PendingRun, snapshot: Snapshot, *, cut: Collection[str] = ()) -> Changes:
    """Find the single changes that let a run start now.

    Args:
        run: The run; one of the snapshot's.
        snapshot: What waits, what is at work, and the limits.
        cut: Runs behind which more of their kind wait that were not read: where one of these finds
            a place too, nothing is proved.
    """
    trials = _Trials(run, snapshot, frozenset(cut))
    kinds = (
        trials.of_limits,
        trials.of_workers,
        trials.of_gpus,
        trials.of_priority,
        trials.of_tags,
        trials.of_new_worker,
        trials.of_needs,
    )
    return _found(change for kind in kinds for change in kind())


def ends_for(
    run: PendingRun, snapshot: Snapshot, run_ids: Collection[str], *, cut: Collection[str] = ()
) -> Changes:
    """Find the runs at work whose end would let a run start now, of those named.

    Args:
        run: The run; one of the snapshot's.
        snapshot: What waits, what is at work, and the limits.
        run_ids: Runs that hold what the run waits for, such as a concurrency key.
        cut: As for `changes_for`.
    """
    return _found(_Trials(run, snapshot, frozenset(cut)).of_ends(run_ids))


def _found(changes: Iterable[Change]) -> Changes:
    found: list[Change] = []
    try:
        found.extend(changes)  # those from before the exception stay
    except _ExhaustedError:
        return Changes(tuple(found), all_tried=False)
    return Changes(tuple(found), all_tried=True)


class _Trials:
    def __init__(self, run: PendingRun, snapshot: Snapshot, cut: frozenset[str]) -> None:
        self._run = run
        self._snapshot = snapshot
        self._cut = cut
        self._left = _MOST_WORK

    # --- kinds of changes ----------------------------------------------------------------------

    def of_limits(self) -> Iterator[Change]:
        """The op resumed, or a limit raised by what it takes."""
        run, limits = self._run, self._snapshot.limits
        if run.op is not None and run.op in limits.paused:
            changed = replace(limits, paused=limits.paused - {run.op})
            text, command = f"resume op {run.op}", f"gyoza op resume {run.op}"
            yield from self._by_limits(changed, "resume_op", text, command)
        if run.op is not None and run.op in limits.op_most:
            most = limits.op_most[run.op] + 1
            changed = replace(limits, op_most={**limits.op_most, run.op: most})
            text = f"raise max_parallel of op {run.op} to {most}"
            command = f"gyoza op limit {run.op} {most}"
            yield from self._by_limits(changed, "op_limit", text, command)
        if run.owner in limits.owner_most:
            most = limits.owner_most[run.owner] + 1
            changed = replace(limits, owner_most={**limits.owner_most, run.owner: most})
            text = f"raise what {run.owner or 'runs without an owner'} may have at work to {most}"
            set_quota = f"gyoza quota set {quote(run.owner or '')} --max-active {most}"
            command = set_quota if run.owner else None
            yield from self._by_limits(changed, "owner_limit", text, command)

    def of_ends(self, run_ids: Collection[str]) -> Iterator[Change]:
        """A run at work ended."""
        for run_id in list(run_ids)[:_PER_KIND]:
            place = self._place(without(self._snapshot, run_id))
            if place is not None:
                yield self._change("end_run", f"end {run_id}", place, f"gyoza cancel {run_id}")

    def of_workers(self) -> Iterator[Change]:
        """A worker resumed, or back."""
        away = [each for each in self._snapshot.workers if each.state != "READY"]
        candidates = [each for each in away if could_ever(self._run.shape, each)]
        for worker in sorted(candidates, key=_drained_first)[:_PER_KIND]:
            place = self._place(self._with_worker(replace(worker, state="READY")))
            if place is None or place.worker_id != worker.worker_id:
                continue
            if worker.state == "DRAINING":
                text, command = f"resume worker {worker.name}", f"gyoza worker resume {worker.name}"
                yield self._change("resume_worker", text, place, command)
            else:
                detail = f": {worker.detail}" if worker.detail else ""
                text = f"bring back worker {worker.name}, which is {worker.state}{detail}"
                yield self._change("worker_back", text, place, None)

    def of_gpus(self) -> Iterator[Change]:
        """A GPU that got no work given some again."""
        sick = [
            (worker, gpu)
            for worker in sorted(self._snapshot.workers, key=lambda each: each.name)
            for gpu in worker.gpus
            if gpu.problem and gpu.vram_mb >= self._run.shape.vram_mb > 0
        ]
        for worker, gpu in sick[:_PER_KIND]:
            well = tuple(replace(each, problem="") if each is gpu else each for each in worker.gpus)
            place = self._place(self._with_worker(replace(worker, gpus=well)))
            if place is not None:
                text = f"have gpu {gpu.index} of worker {worker.name} back, which is {gpu.problem}"
                command = f"gyoza worker resume {worker.name} --gpu {gpu.uuid}"
                # No word brings back what the machine itself does not see.
                command = None if gpu.problem.startswith("missing") else command
                yield self._change("resume_gpu", text, place, command)

    def of_priority(self) -> Iterator[Change]:
        """Another turn."""
        low = self._run.priority

        def starts(priority: int) -> bool:
            return self._place(self._with_run(replace(self._run, priority=priority))) is not None

        if low >= MOST_PRIORITY or not starts(MOST_PRIORITY):
            return
        priority = _smallest(low + 1, MOST_PRIORITY, starts)
        place = self._place(self._with_run(replace(self._run, priority=priority)))
        if place is not None:
            command = f"gyoza priority {self._run.run_id} {priority}"
            yield self._change("priority", f"raise its priority to {priority}", place, command)

    def of_tags(self) -> Iterator[Change]:
        """A worker given the tags that the run asks for."""
        selectors = self._run.shape.selectors
        others = [
            each
            for each in self._snapshot.workers
            if each.state == "READY" and not all_match(selectors, each.tags)
        ]
        for worker in sorted(others, key=lambda each: each.name)[:_PER_KIND]:
            unmet = (each for each in selectors if not all_match((each,), worker.tags))
            missing = tags_for(tuple(unmet))
            place = self._place(self._with_worker(replace(worker, tags={**worker.tags, **missing})))
            if place is None:
                continue
            words = ", ".join(f"{key}={value}" for key, value in missing.items())
            text = f"give worker {worker.name} the tag {words}"
            yield self._change("worker_tag", text, place, None)

    def of_new_worker(self) -> Iterator[Change]:
        """One more worker, as large as the run or as several such."""
        for times in (1, 2, 4, 8, 16, 32):
            worker = _worker_for(self._run.shape, times)
            extended = replace(self._snapshot, workers=(*self._snapshot.workers, worker))
            place = self._place(extended)
            if place is not None:
                options = "".join(f" --tag {k}={v}" for k, v in worker.tags.items())
                text = f"start a worker that offers at least {_offers(worker)}"
                command = f"gyoza worker start{options}"
                yield Change("new_worker", text, "", command)
                return

    def of_needs(self) -> Iterator[Change]:
        """Less of one resource: the most of it that would find a place."""
        shape = self._run.shape
        kinds: tuple[tuple[ChangeName, str, int, str], ...] = (
            ("less_ram", "ram_mb", shape.ram_mb, "MB RAM"),
            ("less_vram", "vram_mb", shape.vram_mb, "MB VRAM"),
            ("less_cpu", "cpu", shape.cpu, "CPU"),
        )
        for name, resource, needed, unit in kinds:
            most = self._most(resource, needed)
            if most is None:
                continue
            amount, place = most
            text = f"ask for at most {amount} {unit}, {needed - amount} less"
            yield self._change(name, text, place, None)

    # --- trying --------------------------------------------------------------------------------

    def _most(self, resource: str, needed: int) -> tuple[int, Placement] | None:
        def place(amount: int) -> Placement | None:
            shape = replace(self._run.shape, **{resource: amount})
            return self._place(self._with_run(replace(self._run, shape=shape)))

        if needed < 2 or place(1) is None:  # noqa: PLR2004 - nothing is no need at all
            return None
        amount = needed - _smallest(1, needed - 1, lambda less: place(needed - less) is not None)
        found = place(amount)
        return None if found is None else (amount, found)

    def _by_limits(
        self, limits: Limits, name: ChangeName, text: str, command: str | None
    ) -> Iterator[Change]:
        place = self._place(replace(self._snapshot, limits=limits))
        if place is not None:
            yield self._change(name, text, place, command)

    def _place(self, snapshot: Snapshot) -> Placement | None:
        shapes = {run.shape for run in snapshot.runs}
        self._left -= len(snapshot.runs) + len(snapshot.workers) * len(shapes)
        if self._left < 0:
            raise _ExhaustedError
        placements = {each.run.run_id: each for each in plan(snapshot).placements}
        if any(run_id in placements for run_id in self._cut if run_id != self._run.run_id):
            return None
        return placements.get(self._run.run_id)

    def _with_run(self, run: PendingRun) -> Snapshot:
        others = (each for each in self._snapshot.runs if each.run_id != run.run_id)
        return replace(self._snapshot, runs=(*others, run))

    def _with_worker(self, worker: WorkerSnapshot) -> Snapshot:
        others = (each for each in self._snapshot.workers if each.worker_id != worker.worker_id)
        return replace(self._snapshot, workers=(*others, worker))

    def _change(self, name: ChangeName, text: str, place: Placement, command: str | None) -> Change:
        names = {each.worker_id: each.name for each in self._snapshot.workers}
        return Change(name, text, names.get(place.worker_id, ""), command)


def _smallest(low: int, high: int, holds: _Starts) -> int:
    """The smallest number from low to high for which it holds, if it holds from there on."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _drained_first(worker: WorkerSnapshot) -> tuple[bool, str, str]:
    return worker.state != "DRAINING", worker.name, worker.worker_id


def _worker_for(shape: Shape, times: int) -> WorkerSnapshot:
    # Of VRAM so many GPUs: the run's lies on one.
    count = times if shape.vram_mb else 0
    gpus = tuple(GpuSnapshot(f"{_NEW}-{at}", at, shape.vram_mb) for at in range(count))
    return WorkerSnapshot(
        # Behind every real id, so that it takes the run only when nothing else does.
        worker_id="~new",
        name=_NEW,
        state="READY",
        cpu=shape.cpu * times,
        ram_mb=shape.ram_mb * times,
        gpus=gpus,
        tags=tags_for(shape.selectors),
    )


def _offers(worker: WorkerSnapshot) -> str:
    parts = [f"{worker.cpu} CPU", f"{worker.ram_mb} MB RAM"]
    if worker.gpus:
        count = "a GPU" if len(worker.gpus) == 1 else f"{len(worker.gpus)} GPUs"
        parts.append(f"{count} of {worker.gpus[0].vram_mb} MB")
    parts += [f"tag {key}={value}" for key, value in worker.tags.items()]
    return ", ".join(parts)

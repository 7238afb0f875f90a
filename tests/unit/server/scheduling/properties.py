"""What every plan has to keep, as checks that keep their own books and know no planner.

Each returns what is wrong with a plan, in words; nothing when all is well. So one check serves to
show that the planner keeps a property and that a naive planner breaks it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias, TypeVar

from gyoza.server.scheduling.planner import Placement, Plan
from gyoza.server.scheduling.snapshot import Holding, PendingRun, Shape, Snapshot, WorkerSnapshot

Planner: TypeAlias = Callable[[Snapshot], Plan]
_T = TypeVar("_T")


class Books:
    """What is free on a worker, by plain addition."""

    def __init__(self, worker: WorkerSnapshot) -> None:
        self.worker = worker
        self.cpu = worker.cpu - worker.reserved_cpu
        self.ram_mb = worker.ram_mb - worker.reserved_ram_mb
        self.vram_mb = {
            gpu.uuid: gpu.vram_mb - gpu.used_mb - gpu.reserved_mb for gpu in worker.gpus
        }

    def book(self, placement: Placement) -> None:
        shape = placement.run.shape
        self.cpu -= shape.cpu
        self.ram_mb -= shape.ram_mb
        if placement.gpu_uuid is not None:
            self.vram_mb[placement.gpu_uuid] -= shape.vram_mb

    def give_back(self, holding: Holding) -> None:
        self.cpu += holding.cpu
        self.ram_mb += holding.ram_mb
        if holding.gpu_uuid is not None:
            self.vram_mb[holding.gpu_uuid] += holding.vram_mb

    def has_room(self, shape: Shape, gpu_uuid: str | None = None) -> bool:
        """Whether the shape fits, on that GPU if one is named."""
        well = [gpu.uuid for gpu in self.worker.gpus if not gpu.problem]
        gpus = [uuid for uuid in well if gpu_uuid in (None, uuid)]
        return (
            shape.cpu <= max(0, self.cpu)
            and shape.ram_mb <= max(0, self.ram_mb)
            and (not shape.vram_mb or any(self.vram_mb[uuid] >= shape.vram_mb for uuid in gpus))
        )


def over_commitments(snapshot: Snapshot, made: Plan) -> list[str]:
    """Workers and GPUs that would have to give more than they have."""
    books = _books(snapshot)
    used: set[str] = set()
    for each in made.placements:
        books[each.worker_id].book(each)
        used |= {each.worker_id, each.gpu_uuid or ""}
    return [
        f"{name} lacks {-left} {what}"
        for worker_id, of_worker in books.items()
        for name, what, left in _sums(worker_id, of_worker)
        if left < 0 and name in used and _asked(made, name, what)
    ]


def misplacements(snapshot: Snapshot, made: Plan) -> list[str]:
    """Runs on a worker or GPU that may not have them, however empty it is."""
    workers = {worker.worker_id: worker for worker in snapshot.workers}
    return [
        f"{each.run.run_id} on {each.worker_id}: {wrong}"
        for each in made.placements
        for wrong in _wrong(each, workers[each.worker_id])
    ]


def losses(snapshot: Snapshot, made: Plan) -> list[str]:
    """Runs that the plan names never or twice, and waits without a reason."""
    named = Counter(each.run.run_id for each in (*made.placements, *made.unplaced))
    wrong = [f"{run.run_id} is named {named[run.run_id]} times" for run in snapshot.runs]
    found = [text for text in wrong if not text.endswith(" 1 times")]
    found += (
        f"{each.run.run_id} waits, and a worker says nothing against it"
        for each in made.unplaced
        if each.rule is None and not all(each.refusals.by_worker.values())
    )
    return found


def passed_over(snapshot: Snapshot, made: Plan) -> list[str]:
    """Runs that had room when their turn came, and wait; asks for snapshots of one owner."""
    books = _books(snapshot)
    placed = {each.run.run_id: each for each in made.placements}
    held_back = {each.run.run_id for each in made.unplaced if each.rule}
    kept = made.promise.worker_id if made.promise else None
    found: list[str] = []
    for run in sorted(snapshot.runs, key=lambda one: _turn(one, snapshot)):
        if run.run_id in placed:
            books[placed[run.run_id].worker_id].book(placed[run.run_id])
        elif run.run_id not in held_back:
            found += (
                f"{run.run_id} would have fitted on {name}"
                for name, of_worker in books.items()
                if name != kept and _may(run, of_worker.worker) and of_worker.has_room(run.shape)
            )
    return found


def exceeded_limits(snapshot: Snapshot, made: Plan) -> list[str]:
    """Ops and owners of whom more is placed than they may have, and runs held back for nothing."""
    limits = snapshot.limits
    held = [each for worker in snapshot.workers for each in worker.holdings]
    runs = [each.run for each in made.placements]
    ops = Counter(each.op for each in [*held, *runs])
    owners = Counter(each.owner for each in [*held, *runs])
    found = [f"{run.run_id} is of the paused {run.op}" for run in runs if run.op in limits.paused]
    for run in runs:
        if run.op in limits.op_most and ops[run.op] > limits.op_most[run.op or ""]:
            found.append(f"{run.op} has {ops[run.op]} at work")
        if run.owner in limits.owner_most and owners[run.owner] > limits.owner_most[run.owner]:
            found.append(f"{run.owner} has {owners[run.owner]} at work")
    for each in made.unplaced:
        run, rule = each.run, each.rule
        full = run.op in limits.op_most and ops[run.op] >= limits.op_most[run.op or ""]
        sated = run.owner in limits.owner_most and owners[run.owner] >= limits.owner_most[run.owner]
        if rule and not (run.op in limits.paused or full or sated):
            found.append(f"{run.run_id} is held back by {rule.text}")
        if rule and made.promise and made.promise.run.run_id == run.run_id:
            found.append(f"{run.run_id} is held back and has a worker kept for it")
    return found


def wrong_evictions(snapshot: Snapshot, made: Plan) -> list[str]:
    """Victims that may not be asked, too few of them, or more than are needed."""
    if not made.evictions:
        return []
    promise = made.promise
    if promise is None:
        return ["somebody gives way to nobody"]
    worker = next(one for one in snapshot.workers if one.worker_id == promise.worker_id)
    held = {(each.run_id, each.fence): each for each in worker.holdings}
    names = [(each.run_id, each.fence) for each in made.evictions]
    if not set(names) <= set(held):
        return ["a victim is not on the worker that is kept"]
    victims = [held[name] for name in names]
    found = [
        f"{victim.run_id} may not be displaced"
        for victim in victims
        if not victim.preemptible
        or victim.stops
        or victim.lost
        or promise.run.priority - victim.priority < snapshot.preemption_gap
    ]
    if not _makes_room(worker, made, victims):
        found.append("the victims do not make enough room")
    found += (
        f"{victim.run_id} is displaced for nothing"
        for victim in victims
        if _makes_room(worker, made, [each for each in victims if each is not victim])
    )
    return found


def differences_by_order(planner: Planner, snapshot: Snapshot, shuffle: random.Random) -> list[str]:
    """What changes in a plan when the parts of the snapshot come in another order."""
    first = planner(snapshot)
    second = planner(
        replace(
            snapshot,
            runs=_shuffled(snapshot.runs, shuffle),
            workers=tuple(
                replace(worker, holdings=_shuffled(worker.holdings, shuffle))
                for worker in _shuffled(snapshot.workers, shuffle)
            ),
        )
    )
    parts = {
        "placements": (first.placements, second.placements),
        "unplaced": tuple(
            [(each.run, each.rule) for each in one.unplaced] for one in (first, second)
        ),
        "promise": (first.promise, second.promise),
        "evictions": (first.evictions, second.evictions),
    }
    return [name for name, (one, other) in parts.items() if one != other]


def _books(snapshot: Snapshot) -> dict[str, Books]:
    return {worker.worker_id: Books(worker) for worker in snapshot.workers}


def _sums(worker_id: str, books: Books) -> Iterator[tuple[str, str, int]]:
    yield worker_id, "CPU", books.cpu
    yield worker_id, "MB RAM", books.ram_mb
    for uuid, left in books.vram_mb.items():
        yield uuid, "MB VRAM", left


def _asked(made: Plan, name: str, what: str) -> bool:
    # What was short before the plan is no fault of a plan that takes none of it.
    shapes = [each.run.shape for each in made.placements if name in (each.worker_id, each.gpu_uuid)]
    units = {"CPU": "cpu", "MB RAM": "ram_mb", "MB VRAM": "vram_mb"}
    return any(getattr(shape, units[what]) for shape in shapes)


def _wrong(placement: Placement, worker: WorkerSnapshot) -> Iterator[str]:
    shape = placement.run.shape
    if worker.state != "READY":
        yield f"it is {worker.state}"
    if not set(shape.selectors) <= set(worker.tags.items()):
        yield "it lacks a tag"
    if (placement.gpu_uuid is not None) != bool(shape.vram_mb):
        yield "a GPU for no need, or none for one"
    gpus = {gpu.uuid: gpu for gpu in worker.gpus}
    if placement.gpu_uuid is not None and placement.gpu_uuid not in gpus:
        yield "the GPU is not there"
    elif placement.gpu_uuid is not None and gpus[placement.gpu_uuid].problem:
        yield "the GPU is in quarantine"


def _may(run: PendingRun, worker: WorkerSnapshot) -> bool:
    return worker.state == "READY" and set(run.shape.selectors) <= set(worker.tags.items())


def _turn(run: PendingRun, snapshot: Snapshot) -> tuple[int, float, str]:
    waited_s = max(0.0, (snapshot.now - run.created_at).total_seconds())
    effective = run.priority + min(100, int(waited_s / snapshot.ageing_s))
    return -effective, run.created_at.timestamp(), run.run_id


def _makes_room(worker: WorkerSnapshot, made: Plan, victims: Iterable[Holding]) -> bool:
    assert made.promise is not None
    books = Books(worker)
    for each in made.placements:
        if each.worker_id == worker.worker_id:
            books.book(each)
    for victim in (*_ending(worker), *victims):
        books.give_back(victim)
    return books.has_room(made.promise.run.shape, made.promise.gpu_uuid)


def _ending(worker: WorkerSnapshot) -> list[Holding]:
    return [each for each in worker.holdings if each.stops and not each.lost]


def _shuffled(parts: tuple[_T, ...], shuffle: random.Random) -> tuple[_T, ...]:
    return tuple(shuffle.sample(parts, len(parts)))

"""Reading a snapshot for the planner, and applying its plan under guards.

The plan is optimistic: it rests on what was true when the snapshot was taken. Applying is safe: it
locks the worker, counts its reservations again and places a run only if it still waits; whatever
changed in between is skipped and planned again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from gyoza.models import OpRun, OpRunState
from gyoza.server.scheduling.feasibility import Room, fits, how_many_fit
from gyoza.server.scheduling.planner import Placement
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot
from gyoza.server.settings import Settings
from gyoza.server.storage import records
from gyoza.server.storage.lanes import Barred, awaits_of, key_of, stand_in_line
from gyoza.server.storage.records import Reservation, RunTimes, source_of
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.durations import most_seconds, usual_seconds
from gyoza.server.use_cases.limits import Guards, barred, read_limits, with_owners
from gyoza.server.use_cases.owner_use import used_lately
from gyoza.server.use_cases.worker_states import worker_snapshot

_Reserved: TypeAlias = Mapping[str, Sequence[Reservation]]


def read_snapshot(
    uow: UnitOfWork, settings: Settings, *, depth: int = 1, barring: bool = True
) -> Snapshot:
    """Read what a plan rests on, as of one moment.

    Of the pending runs only the heads of their lanes, and of lanes that find room now as many more
    as there is room for: what lies behind can neither be placed nor change the plan.

    Args:
        uow: The unit of work.
        settings: How much one plan looks at.
        depth: Runs of each lane at least, for who asks what comes next, as far as the window goes.
        barring: Whether lanes that a limit holds back are passed by.
    """
    now = uow.now()
    reserved = uow.assignments.reserved_by_worker()
    limits = read_limits(uow, settings, reserved)
    passed_by = barred(limits, reserved) if barring else Barred()
    heads = uow.runs.lane_heads(settings.plan_lanes, now, passed_by)
    limits = with_owners(limits, (head.owner for head in heads), settings)
    times = uow.run_times.find_many(_sources(heads, reserved))
    workers = tuple(
        worker_snapshot(worker, reserved.get(worker.id, ()), now, settings, times)
        for worker in uow.workers.list()
    )
    rooms = [Room(worker) for worker in workers]
    shapes: dict[Shape, Shape] = {}
    runs: list[PendingRun] = []
    for head in heads:
        first = _pending(head, shapes, times, settings)
        runs.append(first)
        wanted = min(max(depth, how_many_fit(first.shape, rooms)), settings.plan_window - len(runs))
        if wanted > 1:
            behind = uow.runs.lane(head.lane, wanted, now)[1:]
            runs += (_pending(run, shapes, times, settings) for run in behind)
    return Snapshot(
        now, tuple(runs), workers, settings.ageing_s, limits, used=used_lately(uow, settings)
    )


def _sources(heads: Iterable[records.PendingRun], reserved: _Reserved) -> set[str]:
    wait = {source_of(run.op, run.op_version, run.image) for run in heads}
    holders = (each.holder for some in reserved.values() for each in some)
    return wait | {source_of(has.op, has.op_version, has.image) for has in holders if has}


def apply_placements(
    uow: UnitOfWork, placements: Sequence[Placement], settings: Settings
) -> list[str]:
    """Assign what still can be; the runs' workers are woken after the commit.

    Args:
        uow: The unit of work.
        placements: Of one plan, in its order.
        settings: The lease, and limits of owners.

    Returns:
        The ids of the runs that were assigned.
    """
    rooms: dict[str, Room | None] = {}
    runs = {run.id: run for run in uow.runs.get_many(each.run.run_id for each in placements)}
    guards = Guards(uow, settings)
    aside: list[OpRun] = []
    assigned: list[tuple[OpRun, Reservation]] = []
    for each in placements:
        if each.worker_id not in rooms:
            rooms[each.worker_id] = _room(uow, each.worker_id, settings)
        room, run = rooms[each.worker_id], runs.get(each.run.run_id)
        if room is None or run is None or not _still_waits(run, uow.now()):
            continue
        if guards.key_is_full(run):
            # Beside the queue, where it hides nobody who could be placed.
            stand_in_line(run, uow.now())
            aside.append(run)
        elif fits(each.run.shape, room) and guards.admit(run):
            assigned.append((run, _assign(run, each.run.shape, room, uow.now())))
    uow.runs.save_many(aside)
    _record(uow, assigned, uow.now() + timedelta(seconds=settings.lease_s))
    return [run.id for run, _ in assigned]


def _room(uow: UnitOfWork, worker_id: str, settings: Settings) -> Room | None:
    uow.workers.lock(worker_id)
    worker = uow.workers.find(worker_id)
    if worker is None or worker.removed:
        return None
    reserved = uow.assignments.reserved_on(worker_id)
    return Room(worker_snapshot(worker, reserved, uow.now(), settings))


def _still_waits(run: OpRun, now: datetime) -> bool:
    due = run.due_at is None or run.due_at <= now
    return run.state is OpRunState.PENDING and due and awaits_of(run) is None


def _assign(run: OpRun, shape: Shape, room: Room, now: datetime) -> Reservation:
    gpu = room.take(shape)
    worker_id = room.worker.worker_id
    run.assign(worker_id, now=now, gpu_uuid=gpu.uuid if gpu else None)
    run.execution_summary.gpu_id = gpu.index if gpu else None
    return Reservation(
        run_id=run.id,
        fence=run.fence,
        worker_id=worker_id,
        cpu=shape.cpu,
        ram_mb=shape.ram_mb,
        vram_mb=shape.vram_mb,
        gpu_uuid=gpu.uuid if gpu else None,
        concurrency_key=key_of(run),
    )


def _record(
    uow: UnitOfWork, assigned: Sequence[tuple[OpRun, Reservation]], lease_ends: datetime
) -> None:
    uow.runs.save_many([run for run, _ in assigned])
    uow.assignments.reserve(*(reservation for _, reservation in assigned))
    for run, reservation in assigned:
        attempt = run.current_attempt.attempt
        uow.assignments.open(run.id, attempt, run.fence, reservation.worker_id, lease_ends)


def _pending(
    run: records.PendingRun,
    shapes: dict[Shape, Shape],
    times: Mapping[str, RunTimes],
    settings: Settings,
) -> PendingRun:
    shape = shape_of(run.cpu, run.ram_mb, run.vram_mb, run.selectors, settings)
    # One object per shape: the planner compares them a great many times.
    one = shapes.setdefault(shape, shape)
    learned = times.get(source_of(run.op, run.op_version, run.image))
    return PendingRun(
        run.run_id,
        run.priority,
        run.created_at,
        one,
        run.owner,
        run.op,
        run.image,
        most_seconds(learned),
        usual_seconds(learned),
    )


def shape_of(
    cpu: int | None,
    ram_mb: int | None,
    vram_mb: int | None,
    selectors: dict[str, str],
    settings: Settings,
) -> Shape:
    """Return what a run needs; the defaults stand in where an old row names nothing."""
    return Shape(
        cpu=settings.default_cpu if cpu is None else cpu,
        ram_mb=settings.default_ram_mb if ram_mb is None else ram_mb,
        vram_mb=vram_mb or 0,
        selectors=tuple(sorted(selectors.items())),
    )

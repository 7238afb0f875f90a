"""A planner as one would write it in an afternoon: whoever stands first gets the first with room.

It is here to be refused: each property of `properties` has to notice what is wrong with it. It
counts CPU and RAM right and looks at nothing else twice: the VRAM of a worker is one heap, tags,
states and limits are unknown, and a run that finds no room has the first less urgent one stopped.
"""

from __future__ import annotations

from gyoza.server.scheduling.planner import Placement, Plan, Refusals, Unplaced
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.scheduling.promises import Promise
from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.snapshot import PendingRun, Snapshot


def first_fit(snapshot: Snapshot) -> Plan:
    """Place runs as they stand in the list, each on the first worker of the list with room."""
    rooms = [Room(worker) for worker in snapshot.workers]
    placements: list[Placement] = []
    unplaced: list[Unplaced] = []
    for run in snapshot.runs:
        room = next((room for room in rooms if _has_room(run, room)), None)
        if room is None:
            unplaced.append(Unplaced(run, Refusals(run.shape, tuple(rooms))))
        else:
            placements.append(_placed(run, room))
    promise, evictions = _stopped(unplaced, snapshot)
    return Plan(tuple(placements), tuple(unplaced), promise, evictions)


def _has_room(run: PendingRun, room: Room) -> bool:
    shape = run.shape
    return (
        shape.cpu <= room.cpu and shape.ram_mb <= room.ram_mb and shape.vram_mb <= sum(room.vram_mb)
    )


def _placed(run: PendingRun, room: Room) -> Placement:
    room.cpu -= run.shape.cpu
    room.ram_mb -= run.shape.ram_mb
    gpu = room.worker.gpus[0] if run.shape.vram_mb else None
    if gpu is not None:
        room.vram_mb[0] -= run.shape.vram_mb
    return Placement(run, room.worker.worker_id, gpu.uuid if gpu else None)


def _stopped(
    unplaced: list[Unplaced], snapshot: Snapshot
) -> tuple[Promise | None, tuple[Eviction, ...]]:
    for each in unplaced:
        for worker in snapshot.workers:
            for held in worker.holdings:
                if held.priority < each.run.priority:
                    run, name = each.run, worker.worker_id
                    eviction = Eviction(held.run_id, held.fence, name, run.run_id)
                    return Promise(run, name, None), (eviction,)
    return None, ()

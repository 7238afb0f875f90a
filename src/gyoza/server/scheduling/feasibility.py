"""Whether a run of some shape fits a worker now, and if not, why: one small check per line.

`CHECKS` is read from top to bottom, cheapest first. Each check says its "no" with figures. What a
"no" means for later is in the reason: a worker that is full now may have room later, one that is
too small never will.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from gyoza.server.scheduling.snapshot import GpuSnapshot, Shape, WorkerSnapshot


class Reason(NamedTuple):
    """Why a worker does not take a run.

    Attributes:
        check: Which check said no: state, tags, cpu, ram, vram or kept.
        text: The same for people, with figures.
        ever: Whether the same worker might take it later.
    """

    check: str
    text: str
    ever: bool


class Spare:
    """What of a worker may be used by others although it is kept for a run that waits for it.

    Attributes:
        run_id: The run it is kept for.
        cpu: CPUs beyond what that run will take.
        ram_mb: Megabytes of RAM beyond it.
        gpu: Position of the GPU kept for it; None when it needs none.
        vram_mb: Megabytes of that GPU beyond it.
    """

    __slots__ = ("cpu", "gpu", "ram_mb", "run_id", "vram_mb")

    def __init__(self, run_id: str, cpu: int, ram_mb: int, gpu: int | None, vram_mb: int) -> None:
        self.run_id = run_id
        self.cpu = cpu
        self.ram_mb = ram_mb
        self.gpu = gpu
        self.vram_mb = vram_mb


class Room:
    """What is free on a worker while a plan is made; placing a run takes of it.

    Attributes:
        worker: The worker as the snapshot has it.
        cpu: Free CPUs.
        ram_mb: Free megabytes of RAM.
        vram_mb: Free megabytes per GPU, in the order of `worker.gpus`.
        changes: How many times it has become smaller.
        spare: Set once the worker is kept for a run that waits for it.
    """

    __slots__ = ("changes", "cpu", "ram_mb", "spare", "vram_mb", "worker")

    def __init__(self, worker: WorkerSnapshot) -> None:
        self.worker = worker
        # A worker may come back smaller than what it already holds; then nothing is free.
        self.cpu = max(0, worker.cpu - worker.reserved_cpu)
        self.ram_mb = max(0, worker.ram_mb - worker.reserved_ram_mb)
        self.vram_mb = [gpu.free_mb for gpu in worker.gpus]
        self.changes = 0
        self.spare: Spare | None = None

    def keep(self, spare: Spare) -> None:
        """Keep the worker for a run: from now on others get only what that run will not need."""
        self.changes += 1
        self.spare = spare

    def take(self, shape: Shape) -> GpuSnapshot | None:
        """Reserve room for a run that fits; returns its GPU, None when it needs none."""
        self.changes += 1
        self.cpu -= shape.cpu
        self.ram_mb -= shape.ram_mb
        index = self.gpu_for(shape)
        spare = self.spare
        if spare is not None:
            spare.cpu -= shape.cpu
            spare.ram_mb -= shape.ram_mb
            if index is not None and index == spare.gpu:
                spare.vram_mb -= shape.vram_mb
        if index is None:
            return None
        self.vram_mb[index] -= shape.vram_mb
        return self.worker.gpus[index]

    def gpu_for(self, shape: Shape) -> int | None:
        """Return the position of the fullest GPU with enough free, None without need or room."""
        if not shape.vram_mb:
            return None
        fitting = [at for at in range(len(self.vram_mb)) if self.free_vram(at) >= shape.vram_mb]
        gpus = self.worker.gpus
        return min(fitting, key=lambda at: (self.vram_mb[at], gpus[at].uuid), default=None)

    def free_vram(self, at: int) -> int:
        """Megabytes of a GPU, by its position, that a run may get now."""
        spare = self.spare
        if spare is None or spare.gpu != at:
            return self.vram_mb[at]
        return min(self.vram_mb[at], spare.vram_mb)


Check: TypeAlias = Callable[[Shape, Room], Reason | None]


def ready(_: Shape, room: Room) -> Reason | None:
    """A worker that drains, is sick or silent gets no new work."""
    worker = room.worker
    if worker.state == "READY":
        return None
    detail = f": {worker.detail}" if worker.detail else ""
    return Reason("state", f"is {worker.state}{detail}", ever=True)


def tags(shape: Shape, room: Room) -> Reason | None:
    """Every selector has to be a tag of the worker."""
    if not shape.selectors:
        return None
    for name, wanted in shape.selectors:
        found = room.worker.tags.get(name)
        if found != wanted:
            has = "has no such tag" if found is None else f"has {name}={found}"
            return Reason("tags", f"needs tag {name}={wanted}, {has}", ever=False)
    return None


def cpu(shape: Shape, room: Room) -> Reason | None:
    """Whole CPUs, never more than there are."""
    if shape.cpu <= room.cpu:
        return None
    has = room.worker.cpu
    return Reason("cpu", f"needs {shape.cpu} CPU, {_free(room.cpu, has)}", ever=shape.cpu <= has)


def ram(shape: Shape, room: Room) -> Reason | None:
    """RAM is never over-committed: what is over is killed, and not always who is to blame."""
    if shape.ram_mb <= room.ram_mb:
        return None
    has = room.worker.ram_mb
    text = f"needs {shape.ram_mb} MB RAM, {_free(room.ram_mb, has)}"
    return Reason("ram", text, ever=shape.ram_mb <= has)


def vram(shape: Shape, room: Room) -> Reason | None:
    """All of a run's VRAM lies on one GPU, which several runs may share."""
    if not shape.vram_mb or any(free >= shape.vram_mb for free in room.vram_mb):
        return None
    gpus = room.worker.gpus
    if not gpus:
        return Reason("vram", f"needs {shape.vram_mb} MB VRAM, has no GPU", ever=False)
    best = max(range(len(gpus)), key=lambda at: room.vram_mb[at])
    largest = max(gpu.vram_mb for gpu in gpus)
    figures = f"{room.vram_mb[best]} free on gpu {gpus[best].index}{_foreign(gpus[best])}"
    if shape.vram_mb > largest:
        figures = f"its largest gpu has {largest}"
    text = f"needs {shape.vram_mb} MB VRAM, {figures}"
    return Reason("vram", text, ever=shape.vram_mb <= largest)


def kept(shape: Shape, room: Room) -> Reason | None:
    """What a worker has free may be kept for a run that comes first and needs more of it."""
    spare = room.spare
    if spare is None or _is_within(shape, room, spare):
        return None
    return Reason(
        "kept", f"is kept for {spare.run_id}, which comes first and waits for it", ever=True
    )


# A run that needs nothing fits any number of times; no plan is longer.
_WITHOUT_NEED: Final = 1_000_000

CHECKS: Final[tuple[Check, ...]] = (ready, cpu, ram, vram, tags, kept)


def fits(shape: Shape, room: Room) -> bool:
    """Whether no check says no: what `refusals` knows in words, at the speed a plan needs.

    A plan asks this for every shape and worker, hundreds of thousands of times, and almost nobody
    reads the reasons; a property test holds the two together.
    """
    worker = room.worker
    return (
        shape.cpu <= room.cpu
        and shape.ram_mb <= room.ram_mb
        and worker.state == "READY"
        and (not shape.vram_mb or any(free >= shape.vram_mb for free in room.vram_mb))
        and (not shape.selectors or worker.tags.items() >= set(shape.selectors))
        and (room.spare is None or _is_within(shape, room, room.spare))
    )


def how_many_fit(shape: Shape, rooms: Iterable[Room]) -> int:
    """How many runs of a shape find room at once, if nothing else takes it; never too few."""
    return sum(_times(shape, room) for room in rooms if fits(shape, room))


def _times(shape: Shape, room: Room) -> int:
    times = [_WITHOUT_NEED]
    if shape.cpu:
        times.append(room.cpu // shape.cpu)
    if shape.ram_mb:
        times.append(room.ram_mb // shape.ram_mb)
    if shape.vram_mb:
        times.append(sum(free // shape.vram_mb for free in room.vram_mb))
    return min(times)


def refusals(shape: Shape, room: Room) -> list[Reason]:
    """Return every reason why the worker cannot take the shape now; none when it can."""
    found = (check(shape, room) for check in CHECKS)
    return [reason for reason in found if reason is not None]


def could_ever(shape: Shape, worker: WorkerSnapshot) -> bool:
    """Whether the worker, empty and well, could take the shape."""
    return (
        shape.cpu <= worker.cpu
        and shape.ram_mb <= worker.ram_mb
        and (not shape.vram_mb or any(gpu.vram_mb >= shape.vram_mb for gpu in worker.gpus))
        and all(worker.tags.get(name) == wanted for name, wanted in shape.selectors)
    )


def _is_within(shape: Shape, room: Room, spare: Spare) -> bool:
    if shape.cpu > spare.cpu or shape.ram_mb > spare.ram_mb:
        return False
    return not shape.vram_mb or room.gpu_for(shape) is not None


def _free(free: int, has: int) -> str:
    return f"{free} of {has} free"


def _foreign(gpu: GpuSnapshot) -> str:
    return f" ({gpu.used_mb} used by others)" if gpu.used_mb else ""

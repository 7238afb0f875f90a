"""Whether a run of some shape fits a worker now, and if not, why: one small check per line.

`CHECKS` is read from top to bottom, cheapest first. Each check says its "no" with figures. What a
"no" means for later is in the reason: a worker that is full now may have room later, one that is
too small never will.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.selectors import all_match, selector
from gyoza.server.scheduling.snapshot import GpuSnapshot, Shape, WorkerSnapshot


class Reason(NamedTuple):
    """Why a worker does not take a run.

    Attributes:
        check: Which check said no: state, tags, cpu, ram, gpu, vram or kept.
        text: The same for people, with figures.
        ever: Whether the same worker might take it later.
    """

    check: str
    text: str
    ever: bool


Check: TypeAlias = Callable[[Shape, Room], Reason | None]


def ready(_: Shape, room: Room) -> Reason | None:
    """A worker that drains, is sick or silent gets no new work."""
    worker = room.worker
    if worker.state == "READY":
        return None
    detail = f": {worker.detail}" if worker.detail else ""
    return Reason("state", f"is {worker.state}{detail}", ever=True)


def tags(shape: Shape, room: Room) -> Reason | None:
    """Every selector has to match a tag of the worker."""
    if not shape.selectors:
        return None
    for name, expression in shape.selectors:
        found, wanted = room.worker.tags.get(name), selector(expression)
        if not wanted.matches(found):
            has = "has no such tag" if found is None else f"has {name}={found}"
            return Reason("tags", f"needs {wanted.text(name)}, {has}", ever=False)
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


def gpu(shape: Shape, room: Room) -> Reason | None:
    """A GPU in quarantine gets no work, even where it alone would have room."""
    if not shape.vram_mb or _has_vram(shape, room):
        return None
    for each in room.worker.gpus:
        if each.problem and each.vram_mb >= shape.vram_mb:
            return Reason("gpu", f"gpu {each.index} is quarantined: {each.problem}", ever=True)
    return None


def vram(shape: Shape, room: Room) -> Reason | None:
    """All of a run's VRAM lies on one GPU, which several runs may share."""
    if not shape.vram_mb or _has_vram(shape, room) or gpu(shape, room):
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
    if spare is None or _leaves_enough(shape, room):
        return None
    return Reason(
        "kept", f"is kept for {spare.run_id}, which comes first and waits for it", ever=True
    )


# A run that needs nothing fits any number of times; no plan is longer.
_WITHOUT_NEED: Final = 1_000_000

CHECKS: Final[tuple[Check, ...]] = (ready, cpu, ram, gpu, vram, tags, kept)


def fits(shape: Shape, room: Room) -> bool:
    """Whether no check says no: what `refusals` knows in words, at the speed a plan needs.

    Almost nobody reads the reasons; a property test holds the two together.
    """
    return has_room(shape, room) and _leaves_enough(shape, room)


def has_room(shape: Shape, room: Room) -> bool:
    """Whether it would fit if the worker were not kept for anybody."""
    worker = room.worker
    return (
        shape.cpu <= room.cpu
        and shape.ram_mb <= room.ram_mb
        and worker.state == "READY"
        and (not shape.vram_mb or _has_vram(shape, room))
        and (not shape.selectors or has_tags(shape, worker))
    )


def has_tags(shape: Shape, worker: WorkerSnapshot) -> bool:
    """Whether the worker is one of those that the shape's selectors ask for."""
    return all_match(shape.selectors, worker.tags)


def how_many_fit(shape: Shape, rooms: Iterable[Room]) -> int:
    """How many runs of a shape find room at once, if nothing else takes it; never too few."""
    # Asked for every lane and worker, and on a busy fleet most are full: the quickest no first.
    cpu, ram_mb = shape.cpu, shape.ram_mb
    roomy = [room for room in rooms if room.cpu >= cpu and room.ram_mb >= ram_mb]
    return sum(_times(shape, room) for room in roomy if fits(shape, room))


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


def first_refusal(shape: Shape, room: Room) -> Reason | None:
    """Return the first reason why the worker cannot take the shape now; None when it can."""
    found = (check(shape, room) for check in CHECKS)
    return next((reason for reason in found if reason is not None), None)


def could_ever(shape: Shape, worker: WorkerSnapshot) -> bool:
    """Whether the worker, empty and well, could take the shape."""
    return (
        shape.cpu <= worker.cpu
        and shape.ram_mb <= worker.ram_mb
        and (not shape.vram_mb or any(gpu.vram_mb >= shape.vram_mb for gpu in worker.gpus))
        and has_tags(shape, worker)
    )


def _has_vram(shape: Shape, room: Room) -> bool:
    return any(free >= shape.vram_mb for free in room.vram_mb)


def _leaves_enough(shape: Shape, room: Room) -> bool:
    spare = room.spare
    if spare is None:
        return True
    if shape.cpu > spare.cpu or shape.ram_mb > spare.ram_mb:
        return False
    return not shape.vram_mb or room.gpu_for(shape) is not None


def _free(free: int, has: int) -> str:
    return f"{free} of {has} free"


def _foreign(gpu: GpuSnapshot) -> str:
    return f" ({gpu.used_mb} used by others)" if gpu.used_mb else ""

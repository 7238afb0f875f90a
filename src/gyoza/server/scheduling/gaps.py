"""What is free in the fleet, kept in an order that finds the smallest gap for a run at once.

Free places are sorted by CPU, then VRAM, then RAM, so a search steps over whole groups of places
that are too small or already too large, however many workers there are. Searches among the workers
with some tags or with some image have an order of their own, made when first asked for and brought
up to date when asked again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from gyoza.server.scheduling.feasibility import has_tags
from gyoza.server.scheduling.ranking import Prices
from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.snapshot import Shape

_Kind: TypeAlias = Literal["boxes", "gpu boxes", "gpus"]
_CPU_WORK: Final[tuple[_Kind, ...]] = ("boxes", "gpu boxes")
_GPU_WORK: Final[tuple[_Kind, ...]] = ("gpus",)
_Place: TypeAlias = tuple[int, int, str, str, Room]
_Best: TypeAlias = tuple[float, str, Room]


class _Places(NamedTuple):
    """Where a room stands in an order: all its places have the same CPU."""

    cpu: int
    places: list[_Place]


class Gaps:
    """The places of some rooms: for CPU work the rooms themselves, for GPU work their GPUs.

    Args:
        rooms: The rooms.
        prices: How gaps compare.
        changes: Rooms that became smaller, in the order it happened; grows while this lives.
        of_gpus: Whether each GPU is a place.
    """

    def __init__(
        self, rooms: Iterable[Room], prices: Prices, changes: list[Room], *, of_gpus: bool
    ) -> None:
        self._of_gpus = of_gpus
        self._prices = prices
        self._changes = changes
        self._seen = len(changes)
        self._where = {room: self._places(room) for room in rooms}
        self._by_cpu: dict[int, list[_Place]] = {}
        for cpu, places in self._where.values():
            self._by_cpu.setdefault(cpu, []).extend(places)
        for bucket in self._by_cpu.values():
            bucket.sort()
        self._cpus = sorted(self._by_cpu)

    def smallest(self, shape: Shape) -> Room | None:
        """Return the room whose place a shape fills best, by id among equals; None without one."""
        self._catch_up()
        best: _Best | None = None
        for cpu in self._cpus[bisect_left(self._cpus, shape.cpu) :]:
            left = (cpu - shape.cpu) * self._prices.cpu
            if best is not None and left > best[0]:
                break
            best = self._smallest_of(self._by_cpu[cpu], shape, left, best)
        return None if best is None else best[2]

    def _smallest_of(
        self, bucket: list[_Place], shape: Shape, left: float, best: _Best | None
    ) -> _Best | None:
        _, ram_price, vram_price = self._prices
        needs_ram_mb, needs_vram_mb, end = shape.ram_mb, shape.vram_mb, len(bucket)
        at = bisect_left(bucket, (needs_vram_mb, needs_ram_mb))
        while at < end:
            vram_mb, ram_mb, worker_id, _, room = bucket[at]
            gap = left + (vram_mb - needs_vram_mb) * vram_price
            if best is not None and gap > best[0]:
                break
            if ram_mb >= needs_ram_mb:
                found = gap + (ram_mb - needs_ram_mb) * ram_price, worker_id, room
                if best is None or found[:2] < best[:2]:
                    best = found
                # Others with as much VRAM have more RAM left.
                vram_mb += 1
            at = bisect_left(bucket, (vram_mb, needs_ram_mb), at)
        return best

    def _catch_up(self) -> None:
        if self._seen == len(self._changes):
            return
        for room in self._where.keys() & self._changes[self._seen :]:
            self._move(room)
        self._seen = len(self._changes)

    def _move(self, room: Room) -> None:
        cpu, places = self._where[room]
        bucket = self._by_cpu[cpu]
        for place in places:
            del bucket[bisect_left(bucket, place)]
        if not bucket:
            del self._by_cpu[cpu]
            del self._cpus[bisect_left(self._cpus, cpu)]
        self._where[room] = cpu, places = self._places(room)
        if cpu not in self._by_cpu:
            self._by_cpu[cpu] = []
            insort(self._cpus, cpu)
        for place in places:
            insort(self._by_cpu[cpu], place)

    def _places(self, room: Room) -> _Places:
        worker, cpu, ram_mb = room.worker, room.cpu_for_others, room.ram_for_others
        if not self._of_gpus:
            return _Places(cpu, [(0, ram_mb, worker.worker_id, "", room)])
        return _Places(
            cpu,
            [
                (room.vram_for_others(at), ram_mb, worker.worker_id, gpu.uuid, room)
                for at, gpu in enumerate(worker.gpus)
            ],
        )


class Fleet:
    """All rooms of READY workers, asked for the best place of one run after the other.

    Args:
        rooms: All rooms.
    """

    def __init__(self, rooms: Iterable[Room]) -> None:
        self._rooms = [room for room in rooms if room.worker.state == "READY"]
        self._prices = Prices.of(room.worker for room in self._rooms)
        self._changes: list[Room] = []
        self._tagged: dict[tuple[tuple[str, str], ...], list[Room]] = {(): self._rooms}
        self._with_image: dict[str, list[Room]] = {}
        for room in self._rooms:
            for image in room.worker.images:
                self._with_image.setdefault(image, []).append(room)
        self._gaps: dict[tuple[tuple[tuple[str, str], ...], str, _Kind], Gaps] = {}

    def best(self, shape: Shape, image: str) -> Room | None:
        """Return the best room for a run of a shape; None when there is none.

        Args:
            shape: What it needs.
            image: Its image, which some rooms may have; "" asks for none.
        """
        for kind in _GPU_WORK if shape.vram_mb else _CPU_WORK:
            room = self._of(shape, "", kind).smallest(shape)
            if room is None:
                continue
            if image not in self._with_image or image in room.worker.images:
                return room
            return self._of(shape, image, kind).smallest(shape) or room
        return None

    def shrank(self, room: Room) -> None:
        """Take note that a room has less than before."""
        self._changes.append(room)

    def _of(self, shape: Shape, image: str, kind: _Kind) -> Gaps:
        key = (shape.selectors, image, kind)
        found = self._gaps.get(key)
        if found is None:
            rooms = self._having(shape, image) if image else self._tagged_for(shape)
            ours = [room for room in rooms if bool(room.worker.gpus) == (kind != "boxes")]
            found = Gaps(ours, self._prices, self._changes, of_gpus=kind == "gpus")
            self._gaps[key] = found
        return found

    def _having(self, shape: Shape, image: str) -> list[Room]:
        rooms = self._with_image.get(image, [])
        return [room for room in rooms if has_tags(shape, room.worker)]

    def _tagged_for(self, shape: Shape) -> list[Room]:
        found = self._tagged.get(shape.selectors)
        if found is None:
            found = [room for room in self._rooms if has_tags(shape, room.worker)]
            self._tagged[shape.selectors] = found
        return found

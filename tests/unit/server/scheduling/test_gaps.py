"""The ordered search finds what a look at every worker would find."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gyoza.server.scheduling.feasibility import fits
from gyoza.server.scheduling.gaps import Fleet
from gyoza.server.scheduling.ranking import Prices
from gyoza.server.scheduling.rooms import Room, Spare
from gyoza.server.scheduling.snapshot import GpuSnapshot, Shape, WorkerSnapshot
from tests.unit.server.scheduling.strategies import shapes, workers

_fleets = st.lists(workers(), max_size=6, unique_by=lambda one: one.worker_id)
_images = st.sampled_from(["", "sha256:1", "sha256:2"])


def a_box(name: str, cpu: int = 4, **given: Any) -> WorkerSnapshot:
    return WorkerSnapshot(name, name, "READY", cpu, 8000, **given)


def best_of_all(shape: Shape, image: str, rooms: list[Room]) -> Room | None:
    """The best room by looking at each."""
    prices = Prices.of(room.worker for room in rooms if room.worker.state == "READY")

    def rank(room: Room) -> tuple[bool, bool, float, str]:
        left = (room.cpu_for_others - shape.cpu) * prices.cpu
        at = room.gpu_for(shape)
        vram_mb = 0 if at is None else room.vram_for_others(at) - shape.vram_mb
        left += vram_mb * prices.vram_mb
        left += (room.ram_for_others - shape.ram_mb) * prices.ram_mb
        worker = room.worker
        idle_gpu = bool(worker.gpus) and not shape.vram_mb
        lacks_image = bool(image) and image not in worker.images
        return idle_gpu, lacks_image, left, worker.worker_id

    return min((room for room in rooms if fits(shape, room)), key=rank, default=None)


@given(_fleets, st.lists(st.tuples(shapes(), _images), max_size=12), st.data())
def test_the_search_by_order_finds_the_same_as_a_look_at_every_worker(
    fleet: list[WorkerSnapshot], asked: list[tuple[Shape, str]], data: st.DataObject
) -> None:
    rooms = [Room(worker) for worker in fleet]
    gaps = Fleet(rooms)

    for shape, image in asked:
        found = gaps.best(shape, image)

        assert found is best_of_all(shape, image, rooms)
        if found is not None:
            if data.draw(st.booleans()):
                found.spare = found.spare or Spare("kept", 1, 4096, None, 0)
            if fits(shape, found):
                found.take(shape)
            gaps.shrank(found)


def test_who_has_the_image_comes_before_who_would_be_fuller() -> None:
    rooms = [Room(a_box("full", 2)), Room(a_box("has", 8, images=frozenset({"sha256:1"})))]

    found = Fleet(rooms).best(Shape(cpu=1), "sha256:1")

    assert found is rooms[1]


def test_cpu_work_keeps_off_a_gpu_box_even_where_that_has_the_image() -> None:
    rig = a_box("rig", gpus=(GpuSnapshot("g", 0, 8000),), images=frozenset({"sha256:1"}))
    rooms = [Room(rig), Room(a_box("box"))]

    found = Fleet(rooms).best(Shape(cpu=1), "sha256:1")

    assert found is rooms[1]


def test_without_room_where_the_image_is_another_worker_does() -> None:
    full = a_box("has", reserved_cpu=4, images=frozenset({"sha256:1"}))
    rooms = [Room(full), Room(a_box("box"))]

    assert Fleet(rooms).best(Shape(cpu=1), "sha256:1") is rooms[1]


def test_the_smaller_gap_counts_and_not_the_fuller_worker() -> None:
    large, small = (
        Room(a_box("large", 64, reserved_cpu=56)),
        Room(a_box("small", 8, reserved_cpu=4)),
    )

    assert Fleet([large, small]).best(Shape(cpu=2), "") is small

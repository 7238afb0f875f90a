"""Loads and fleets for the tests of the replay."""

from __future__ import annotations

from hypothesis import strategies as st

from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.fleet import Box, Fleet
from gyoza.server.whatif.load import Load, LoadRun, recorded

SMALL = Shape(cpu=1, ram_mb=1_000)
GPU = Shape(cpu=1, ram_mb=1_000, vram_mb=8_000)
HUGE = Shape(cpu=64, ram_mb=1_000)


def a_run(
    at_s: float = 0.0,
    takes_s: float = 60.0,
    shape: Shape = SMALL,
    *,
    owner: str | None = None,
    op: str | None = None,
    priority: int = 5,
    preemptible: bool = False,
) -> LoadRun:
    return LoadRun(at_s, takes_s, shape, owner, op, priority, preemptible)


def a_load(*runs: LoadRun) -> Load:
    return recorded("load", runs)


def a_fleet(cpu: int = 2, *, count: int = 1, gpus: tuple[int, ...] = ()) -> Fleet:
    return Fleet("fleet", (Box("box", cpu, 64_000, gpus, count=count),))


shapes = st.builds(
    Shape,
    cpu=st.integers(0, 4),
    ram_mb=st.sampled_from([0, 500, 2_000]),
    vram_mb=st.sampled_from([0, 0, 4_000, 10_000]),
    selectors=st.sampled_from([(), (("zone", "a"),)]),
)
runs = st.builds(
    LoadRun,
    submitted_s=st.floats(0, 300),
    duration_s=st.floats(0.001, 200),
    shape=shapes,
    owner=st.sampled_from([None, "ann", "bob"]),
    op=st.sampled_from([None, "train", "tile"]),
    priority=st.integers(0, 30),
    preemptible=st.booleans(),
)
loads = st.lists(runs, max_size=40).map(lambda some: recorded("load", some))
boxes = st.builds(
    Box,
    st.just("box"),
    cpu=st.integers(1, 6),
    ram_mb=st.sampled_from([1_000, 4_000]),
    gpus=st.sampled_from([(), (8_000,), (10_000, 10_000)]),
    tags=st.sampled_from([{}, {"zone": "a"}]),
    count=st.integers(1, 2),
)
fleets = st.lists(boxes, min_size=1, max_size=3).map(lambda some: Fleet("fleet", tuple(some)))

"""Small worlds for the planner: few workers, few shapes, so that runs compete."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
_zones = st.sampled_from(["a", "b"])


def shapes() -> SearchStrategy[Shape]:
    selectors = st.one_of(st.just(()), _zones.map(lambda zone: (("zone", zone),)))
    return st.builds(
        Shape,
        cpu=st.integers(0, 5),
        ram_mb=st.sampled_from([0, 512, 2048, 9000]),
        vram_mb=st.sampled_from([0, 0, 3000, 8000, 20000]),
        selectors=selectors,
    )


def gpus() -> SearchStrategy[tuple[GpuSnapshot, ...]]:
    one = st.builds(
        GpuSnapshot,
        uuid=st.uuids().map(str),
        index=st.integers(0, 3),
        vram_mb=st.sampled_from([8000, 16000]),
        used_mb=st.integers(0, 9000),
        reserved_mb=st.integers(0, 9000),
    )
    return st.lists(one, max_size=2, unique_by=lambda gpu: gpu.uuid).map(tuple)


def holdings() -> SearchStrategy[tuple[Holding, ...]]:
    one = st.builds(
        Holding,
        since=st.integers(0, 9).map(lambda seconds: NOON - timedelta(seconds=seconds)),
        cpu=st.integers(0, 3),
        ram_mb=st.integers(0, 4096),
    )
    return st.lists(one, max_size=3).map(tuple)


def holding(worker: WorkerSnapshot, held: tuple[Holding, ...]) -> WorkerSnapshot:
    """The worker with attempts on it, and its sums with them."""
    return replace(
        worker,
        holdings=held,
        reserved_cpu=worker.reserved_cpu + sum(each.cpu for each in held),
        reserved_ram_mb=worker.reserved_ram_mb + sum(each.ram_mb for each in held),
    )


def workers() -> SearchStrategy[WorkerSnapshot]:
    return st.builds(holding, _empty_workers(), holdings())


def _empty_workers() -> SearchStrategy[WorkerSnapshot]:
    return st.builds(
        WorkerSnapshot,
        worker_id=st.integers(0, 99).map("wrk_{:02}".format),
        name=st.sampled_from(["box", "rig"]),
        state=st.sampled_from(["READY", "READY", "READY", "SILENT"]),
        cpu=st.integers(0, 6),
        ram_mb=st.integers(0, 8192),
        gpus=gpus(),
        tags=st.one_of(st.just({}), _zones.map(lambda zone: {"zone": zone})),
        reserved_cpu=st.integers(0, 2),
        reserved_ram_mb=st.integers(0, 4096),
    )


def runs() -> SearchStrategy[PendingRun]:
    return st.builds(
        PendingRun,
        run_id=st.integers(0, 999).map("run_{:03}".format),
        priority=st.integers(0, 2),
        created_at=st.integers(0, 3).map(lambda seconds: NOON + timedelta(seconds=seconds)),
        shape=shapes(),
    )


def snapshots() -> SearchStrategy[Snapshot]:
    return st.builds(
        Snapshot,
        now=st.just(NOON),
        runs=st.lists(runs(), max_size=12, unique_by=lambda run: run.run_id).map(tuple),
        workers=st.lists(workers(), max_size=4, unique_by=lambda one: one.worker_id).map(tuple),
    )

"""Small worlds for the planner: few workers, few shapes, so that runs compete."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gyoza.server.scheduling.snapshot import (
    GpuSnapshot,
    Holding,
    Limits,
    PendingRun,
    Shape,
    Snapshot,
    WorkerSnapshot,
)

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
_zones = st.sampled_from(["a", "b"])
_ops = st.sampled_from(["count", None, "resize"])
_images = st.sampled_from(["sha256:1", "sha256:2"])


def shapes() -> SearchStrategy[Shape]:
    selectors = st.one_of(st.just(()), st.just(()), _zones.map(lambda zone: (("zone", zone),)))
    return st.builds(
        Shape,
        cpu=st.integers(0, 5),
        ram_mb=st.sampled_from([512, 0, 2048, 9000]),
        vram_mb=st.sampled_from([0, 0, 3000, 8000, 20000]),
        selectors=selectors,
    )


def gpus() -> SearchStrategy[tuple[GpuSnapshot, ...]]:
    one = st.builds(
        GpuSnapshot,
        uuid=st.uuids().map(str),
        index=st.integers(0, 3),
        vram_mb=st.sampled_from([8000, 16000]),
        used_mb=st.sampled_from([0, 0, 1000, 9000]),
        reserved_mb=st.sampled_from([0, 0, 3000, 9000]),
        problem=st.sampled_from(["", "", "", "is missing"]),
    )
    return st.lists(one, max_size=2, unique_by=lambda gpu: gpu.uuid).map(tuple)


def holdings() -> SearchStrategy[tuple[Holding, ...]]:
    one = st.builds(
        Holding,
        since=st.integers(0, 9).map(lambda seconds: NOON - timedelta(seconds=seconds)),
        cpu=st.integers(1, 3),
        ram_mb=st.sampled_from([0, 512, 2048]),
        vram_mb=st.sampled_from([0, 3000, 6000]),
        run_id=st.integers(0, 9999).map("held_{:04}".format),
        fence=st.integers(1, 3),
        priority=st.sampled_from([0, 1, 5]),
        op=_ops,
        preemptible=st.sampled_from([True, True, False]),
        stops=st.sampled_from([False, False, True]),
        lost=st.sampled_from([False, False, False, True]),
        ends_at=st.one_of(
            st.none(), st.integers(0, 900).map(lambda seconds: NOON + timedelta(seconds=seconds))
        ),
    )
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda each: each.run_id).map(tuple)


def holding(worker: WorkerSnapshot, held: tuple[Holding, ...]) -> WorkerSnapshot:
    """The worker with attempts on it, and its sums with them; VRAM is of its first GPU."""
    first = worker.gpus[0] if worker.gpus else None
    if first is None:
        held = tuple(replace(each, vram_mb=0) for each in held)
    else:
        held = tuple(replace(each, gpu_uuid=first.uuid if each.vram_mb else None) for each in held)
        reserved_mb = first.reserved_mb + sum(each.vram_mb for each in held)
        worker = replace(worker, gpus=(replace(first, reserved_mb=reserved_mb), *worker.gpus[1:]))
    return replace(
        worker,
        holdings=held,
        reserved_cpu=worker.reserved_cpu + sum(each.cpu for each in held),
        reserved_ram_mb=worker.reserved_ram_mb + sum(each.ram_mb for each in held),
    )


def workers() -> SearchStrategy[WorkerSnapshot]:
    held = st.one_of(holdings(), holdings(), st.just(()))
    return st.builds(holding, _empty_workers(), held)


def _empty_workers() -> SearchStrategy[WorkerSnapshot]:
    return st.builds(
        WorkerSnapshot,
        worker_id=st.integers(0, 99).map("wrk_{:02}".format),
        name=st.sampled_from(["box", "rig"]),
        state=st.sampled_from([*["READY"] * 7, "SILENT"]),
        cpu=st.integers(2, 8),
        ram_mb=st.sampled_from([8192, 4096, 16384, 0]),
        gpus=gpus(),
        tags=st.one_of(st.just({}), _zones.map(lambda zone: {"zone": zone})),
        reserved_cpu=st.sampled_from([0, 0, 1]),
        reserved_ram_mb=st.sampled_from([0, 0, 4096]),
        images=st.frozensets(_images, max_size=2),
    )


def runs() -> SearchStrategy[PendingRun]:
    return st.builds(
        PendingRun,
        run_id=st.integers(0, 999).map("run_{:03}".format),
        priority=st.sampled_from([0, 1, 2, 11, 30]),
        created_at=st.sampled_from([0, 1, 2, 700, 1300, 5000]).map(
            lambda seconds: NOON - timedelta(seconds=seconds)
        ),
        shape=shapes(),
        op=_ops,
        image=st.one_of(st.just(""), _images),
        most_s=st.sampled_from([None, 10.0, 600.0]),
    )


def limits() -> SearchStrategy[Limits]:
    most = st.integers(0, 4)
    return st.builds(
        Limits,
        paused=st.frozensets(st.just("resize"), max_size=1),
        op_most=st.dictionaries(st.just("count"), most, max_size=1),
        owner_most=st.dictionaries(st.sampled_from([None, "ann"]), most, max_size=1),
    )


def snapshots() -> SearchStrategy[Snapshot]:
    """Odd little worlds, which shrink well, and busy ones, in which much is at stake."""
    return st.one_of(_odd_snapshots(), st.integers(0, 2**32).map(_busy_snapshot))


def _odd_snapshots() -> SearchStrategy[Snapshot]:
    return st.builds(
        Snapshot,
        now=st.just(NOON),
        runs=st.lists(runs(), min_size=1, max_size=8, unique_by=lambda run: run.run_id).map(tuple),
        workers=st.lists(
            workers(), min_size=1, max_size=3, unique_by=lambda one: one.worker_id
        ).map(tuple),
        limits=st.one_of(st.just(Limits()), st.just(Limits()), limits()),
    )


def _busy_snapshot(seed: int) -> Snapshot:
    draw = random.Random(seed)
    workers = tuple(_busy_worker(f"wrk_{at}", draw) for at in range(draw.randint(1, 3)))
    runs = tuple(
        PendingRun(
            run_id=f"run_{at}",
            priority=draw.choice([0, 1, 11, 30]),
            created_at=NOON - timedelta(seconds=draw.choice([0, 1, 700, 5000])),
            shape=Shape(
                draw.randint(0, 4), draw.choice([0, 2048]), draw.choice([0, 0, 3000, 8000])
            ),
            op=draw.choice([None, "count", "resize"]),
            image=draw.choice(["", "sha256:1"]),
            most_s=draw.choice([None, 10.0, 600.0]),
        )
        for at in range(draw.randint(1, 8))
    )
    most = draw.choice([{}, {"count": draw.randint(1, 6)}])
    return Snapshot(NOON, runs, workers, limits=Limits(op_most=most))


def _busy_worker(name: str, draw: random.Random) -> WorkerSnapshot:
    gpus = tuple(
        GpuSnapshot(f"{name}_{at}", at, 8000, problem=draw.choice(["", "", "is missing"]))
        for at in range(draw.choice([0, 2]))
    )
    cpu = draw.randint(4, 8)
    images = frozenset(draw.choice([[], ["sha256:1"]]))
    empty = WorkerSnapshot(name, name, "READY", cpu, 16384, gpus, images=images)
    held = tuple(
        Holding(
            since=NOON - timedelta(seconds=draw.randint(0, 900)),
            cpu=draw.randint(0, 3),
            ram_mb=draw.choice([512, 4096]),
            vram_mb=draw.choice([0, 3000]),
            run_id=f"{name}_held_{at}",
            fence=1,
            priority=draw.choice([0, 1, 5]),
            op="count",
            preemptible=draw.random() < 0.7,
            stops=draw.random() < 0.1,
            lost=draw.random() < 0.1,
            ends_at=NOON + timedelta(seconds=draw.randint(1, 900)) if draw.random() < 0.6 else None,
        )
        for at in range(draw.randint(1, 4))
    )
    return holding(empty, held)


def of_several_owners(snapshot: Snapshot, owners: list[str | None]) -> Snapshot:
    """The same world, dealt out to owners in turn."""
    return replace(
        snapshot,
        runs=tuple(
            replace(run, owner=owners[at % len(owners)]) for at, run in enumerate(snapshot.runs)
        ),
        used={owner: at / 3 for at, owner in enumerate(owners)},
    )

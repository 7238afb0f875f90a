"""How well a worker is, told from its record and the time: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from gyoza.models.timestamps import format_time
from gyoza.server.scheduling.snapshot import GpuSnapshot, Holding, WorkerSnapshot, WorkerState
from gyoza.server.settings import Settings
from gyoza.server.storage.records import Reservation, RunTimes, WorkerRecord, source_of
from gyoza.server.use_cases.durations import expected_end
from gyoza.wire.messages import Gpu, WorkerView

_NOTHING_LEARNED: Final[Mapping[str, RunTimes]] = MappingProxyType({})


def state_of(worker: WorkerRecord, now: datetime, settings: Settings) -> tuple[WorkerState, str]:
    """Return a worker's state, worst first, and why in words ("" when there is nothing to say)."""
    silence_s = (now - worker.last_seen_at).total_seconds()
    if silence_s > settings.lease_s:
        return "LOST", f"not heard of for {silence_s:.0f} s"
    if silence_s > settings.silent_after_s:
        return "SILENT", f"not heard of for {silence_s:.0f} s"
    if worker.problem:
        return "UNHEALTHY", worker.problem
    if worker.draining:
        return "DRAINING", ""
    return "READY", ""


def worker_snapshot(
    worker: WorkerRecord,
    reserved: Sequence[Reservation],
    now: datetime,
    settings: Settings,
    times: Mapping[str, RunTimes] = _NOTHING_LEARNED,
) -> WorkerSnapshot:
    """Return the worker as the planner sees it.

    Args:
        worker: The worker.
        reserved: Its unfreed reservations, as they were read.
        now: The moment of the plan.
        settings: When silence counts.
        times: How long runs take, by source.
    """
    state, detail = state_of(worker, now, settings)
    vram = _by_gpu(reserved)
    gpus = tuple(
        GpuSnapshot(
            gpu.uuid, gpu.index, gpu.vram_mb, gpu.used_mb, vram.get(gpu.uuid, 0), gpu.problem
        )
        for gpu in _gpus(worker)
    )
    return WorkerSnapshot(
        worker_id=worker.id,
        name=worker.name,
        state=state,
        cpu=worker.capacity.cpu,
        ram_mb=worker.capacity.ram_mb,
        gpus=gpus,
        tags=worker.tags,
        reserved_cpu=sum(each.cpu for each in reserved),
        reserved_ram_mb=sum(each.ram_mb for each in reserved),
        detail=detail,
        holdings=tuple(_holding(each, now, times) for each in reserved),
        images=worker.images,
    )


def _holding(reserved: Reservation, now: datetime, times: Mapping[str, RunTimes]) -> Holding:
    holder = reserved.holder
    if holder is None:
        raise ValueError(f"the reservation of {reserved.run_id} was not read from the store")
    learned = times.get(source_of(holder.op, holder.op_version, holder.image))
    return Holding(
        since=holder.reserved_at,
        cpu=reserved.cpu,
        ram_mb=reserved.ram_mb,
        vram_mb=reserved.vram_mb,
        gpu_uuid=reserved.gpu_uuid,
        owner=holder.owner,
        run_id=reserved.run_id,
        fence=reserved.fence,
        priority=holder.priority,
        op=holder.op,
        preemptible=holder.preemptible,
        stops=holder.stops,
        lost=not holder.current,
        ends_at=expected_end(learned, holder.reserved_at, now) if holder.current else None,
        created_at=holder.created_at,
    )


def _by_gpu(reserved: Sequence[Reservation]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in reserved:
        if each.gpu_uuid is not None:
            found[each.gpu_uuid] = found.get(each.gpu_uuid, 0) + each.vram_mb
    return found


def _gpus(worker: WorkerRecord) -> list[Gpu]:
    """The worker's GPUs, each with what it or the server finds wrong with it."""
    why = worker.quarantined
    return [
        replace(gpu, problem=gpu.problem or why.get(gpu.uuid, "")) for gpu in worker.capacity.gpus
    ]


def worker_view(
    worker: WorkerRecord,
    reserved: Sequence[Reservation],
    run_ids: Sequence[str],
    now: datetime,
    settings: Settings,
    suspension: str = "",
) -> WorkerView:
    """Return the worker as people see it.

    Args:
        worker: The worker.
        reserved: Its unfreed reservations.
        run_ids: What it holds.
        now: The moment of the look.
        settings: When silence counts.
        suspension: Why no lease expires at present; "" when leases expire as usual.
    """
    state, detail = state_of(worker, now, settings)
    if state == "LOST" and run_ids and suspension:
        detail = f"{detail}; {suspension}"
    return WorkerView(
        id=worker.id,
        name=worker.name,
        state=state,
        version=worker.version,
        runtime=worker.runtime,
        capacity=replace(worker.capacity, gpus=_gpus(worker)),
        reserved={
            "cpu": sum(each.cpu for each in reserved),
            "ram_mb": sum(each.ram_mb for each in reserved),
            "vram_mb": sum(each.vram_mb for each in reserved),
            "gpus": _by_gpu(reserved),
        },
        tags=worker.tags,
        runs=list(run_ids),
        registered_at=format_time(worker.registered_at),
        last_seen_at=format_time(worker.last_seen_at),
        detail=detail,
    )

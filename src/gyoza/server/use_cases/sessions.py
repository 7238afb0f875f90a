"""Letting workers in: one identity, one machine, one live process.

A new process of the same machine takes over from the one before it, with its containers
(`inventory`); a copy of a worker's state folder on another machine is refused, and neither touches
the other's containers.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from msgspec.structs import replace

from gyoza.server.errors import InvalidInput, SessionSuperseded, WorkerNotFound
from gyoza.server.storage.records import WorkerRecord
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.gpu_health import with_missing
from gyoza.server.use_cases.inventory import settle
from gyoza.server.use_cases.moments import microseconds
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import (
    PROTOCOL_VERSION,
    Fault,
    Gpu,
    Register,
    Registered,
)


def register(uow: UnitOfWork, command: Register, outside: Outside) -> Registered:
    """Let a worker in, or let a new process of it take over from the one before.

    Raises:
        SessionSuperseded: Another machine has this identity, or this name.
        InvalidInput: Another protocol, or a capacity that makes no sense.
    """
    faults = _faults(command)
    if faults:
        raise InvalidInput(faults)
    known = uow.workers.find(command.worker_id)
    if known is not None and not known.removed and known.machine_id != command.machine_id:
        raise SessionSuperseded(
            f"worker {known.id} is registered from another machine, as {known.name}; a copied "
            "state folder needs an identity of its own: empty GYOZA_WORKER_STATE_DIR here, or "
            f"remove the other with `gyoza worker remove {known.id}`"
        )
    _refuse_a_known_name(uow, command)
    uow.workers.lock(command.worker_id)
    uow.workers.save(_record(uow, command, known))
    is_new = known is None or known.session_id != command.session_id
    rebooted = known is not None and is_new and known.boot_id != command.boot_id
    uow.wake("dispatch")
    settings = outside.settings
    return Registered(
        worker_id=command.worker_id,
        cluster_id=uow.cluster().id,
        server_time_us=microseconds(uow.now()),
        heartbeat_interval_s=settings.heartbeat_interval_s,
        lease_s=settings.lease_s,
        verdicts=settle(uow, command, outside, is_new=is_new, rebooted=rebooted),
    )


def active_session(uow: UnitOfWork, worker_id: str, session_id: str) -> WorkerRecord:
    """Return the worker if this is its current process.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another process registered.
    """
    worker = uow.workers.find(worker_id)
    if worker is None or worker.removed:
        raise WorkerNotFound(worker_id)
    if worker.session_id != session_id:
        raise SessionSuperseded(
            f"worker {worker_id} was registered again by another process, which has its work now; "
            "this one must stop"
        )
    return worker


def _faults(command: Register) -> list[Fault]:
    faults: list[Fault] = []
    if command.protocol != PROTOCOL_VERSION:
        message = f"got {command.protocol}, this server speaks {PROTOCOL_VERSION}; upgrade one side"
        faults.append(Fault(pointer="/protocol", message=message))
    if not command.worker_id.startswith("wrk_"):
        message = f"got {command.worker_id[:80]!r}, expected wrk_..."
        faults.append(Fault(pointer="/worker_id", message=message))
    capacity = command.capacity
    if min(capacity.cpu, capacity.ram_mb) < 0 or any(gpu.vram_mb < 0 for gpu in capacity.gpus):
        faults.append(Fault(pointer="/capacity", message="an amount is negative"))
    twice = [uuid for uuid, n in Counter(gpu.uuid for gpu in capacity.gpus).items() if n > 1]
    if twice:
        message = f"two GPUs have the UUID {twice[0]}; each needs its own"
        faults.append(Fault(pointer="/capacity/gpus", message=message))
    return faults


def _refuse_a_known_name(uow: UnitOfWork, command: Register) -> None:
    """People and their scripts name workers: one name on two machines would be one of them."""
    for each in uow.workers.list():
        if each.name == command.name and each.machine_id != command.machine_id:
            raise SessionSuperseded(
                f"another machine is registered as {each.name} ({each.id}); give this one its own "
                "GYOZA_WORKER_NAME, or, if that machine is gone, remove it with "
                f"`gyoza worker remove {each.id}`"
            )


def _record(uow: UnitOfWork, command: Register, known: WorkerRecord | None) -> WorkerRecord:
    now = uow.now()
    return WorkerRecord(
        id=command.worker_id,
        name=command.name,
        machine_id=command.machine_id,
        session_id=command.session_id,
        boot_id=command.boot_id,
        version=command.version,
        runtime=command.runtime,
        capacity=replace(command.capacity, gpus=_gpus(command, known, now)),
        registered_at=now,
        last_seen_at=now,
        tags=command.tags,
        # An operator who drained it for a restart wants it to stay so until `resume`.
        draining=known is not None and not known.removed and known.draining,
        images=_images(command, known),
    )


def _images(command: Register, known: WorkerRecord | None) -> frozenset[str]:
    if command.images is not None:
        return frozenset(command.images)
    return frozenset() if known is None else known.images


def _gpus(command: Register, known: WorkerRecord | None, now: datetime) -> list[Gpu]:
    before = [] if known is None or known.removed else known.capacity.gpus
    return with_missing(before, command.capacity.gpus, now)

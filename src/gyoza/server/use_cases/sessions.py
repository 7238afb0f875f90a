"""Letting workers in: one identity, one machine, one live process.

A new process of the same machine takes over from the one before it; a copy of a worker's state
folder on another machine is refused, and neither touches the other's containers.
"""

from __future__ import annotations

from collections import Counter

from gyoza.server.errors import InvalidInput, SessionSuperseded, WorkerNotFound
from gyoza.server.storage.records import WorkerRecord
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import let_go, lose_attempt
from gyoza.server.use_cases.moments import microseconds
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import (
    PROTOCOL_VERSION,
    ContainerReport,
    Fault,
    Register,
    Registered,
    Verdict,
)


def register(uow: UnitOfWork, command: Register, outside: Outside) -> Registered:
    """Let a worker in, or let a new process of it take over from the one before.

    Raises:
        SessionSuperseded: Another machine has this identity.
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
    uow.workers.lock(command.worker_id)
    same_process = known is not None and known.session_id == command.session_id
    if not same_process:
        _close_previous_session(uow, command.worker_id, outside)
    uow.workers.save(_record(uow, command, known))
    uow.wake("dispatch")
    settings = outside.settings
    return Registered(
        worker_id=command.worker_id,
        cluster_id=uow.cluster().id,
        server_time_us=microseconds(uow.now()),
        heartbeat_interval_s=settings.heartbeat_interval_s,
        lease_s=settings.lease_s,
        verdicts=_verdicts(uow, command),
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


def _close_previous_session(uow: UnitOfWork, worker_id: str, outside: Outside) -> None:
    """Close what the process before held.

    Its containers get the verdict STOP and nothing is claimed before that is done, so everything
    is free. Taking running containers over is not built yet; until then their attempts end here.
    Assignments that it had not claimed stay, for the new process to claim.
    """
    held = {each.run_id: each for each in uow.assignments.held_by(worker_id) if each.claimed_at}
    for run in uow.runs.get_many(held):
        lose_attempt(uow, run, f"worker {worker_id} was started again", outside)
        let_go(uow, run.id, held[run.id].fence)
    unclaimed = {(each.run_id, each.fence) for each in uow.assignments.unclaimed_for(worker_id)}
    for each in uow.assignments.reserved_on(worker_id):
        if (each.run_id, each.fence) not in unclaimed:
            uow.assignments.free(each.run_id, each.fence)


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
        capacity=command.capacity,
        registered_at=now,
        last_seen_at=now,
        tags=command.tags,
        # An operator who drained it for a restart wants it to stay so until `resume`.
        draining=known is not None and not known.removed and known.draining,
    )


def _verdicts(uow: UnitOfWork, command: Register) -> list[Verdict]:
    # After `_close_previous_session` only this very process can still hold something.
    held = {
        (each.run_id, each.fence)
        for each in uow.assignments.held_by(command.worker_id)
        if each.claimed_at
    }
    return [
        Verdict(name=each.name, verdict="ADOPT" if _of(each) in held else "STOP")
        for each in command.containers
    ]


def _of(container: ContainerReport) -> tuple[str, int]:
    return container.run_id, container.fence

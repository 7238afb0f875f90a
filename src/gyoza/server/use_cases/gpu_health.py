"""When a GPU gets no more work while its box goes on: it is missing, or it fails whatever it gets.

One op that fails on a GPU says nothing about the GPU, however often. Three different ones in a row
with no completion between them do: then the GPU is in quarantine until a person says otherwise.
Attempts that run on it go on, and what becomes of them counts as usual. A GPU that is missing comes
back by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replaced
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from gyoza.models import OpRun
from gyoza.models.timestamps import format_time
from gyoza.server.errors import InvalidInput
from gyoza.server.storage.records import GpuRecord, HeldAttempt, WorkerRecord
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import Fault, Gpu

SUSPECTED_AFTER: Final = 3
"""So many different ops have to fail on a GPU in a row."""

EVIDENCE: Final = frozenset(
    {
        "USER_ERROR",
        "RUN_TIMEOUT",
        "START_FAILED",
        "OUTPUT_MISSING",
        "OUTPUT_INVALID",
        "GPU_FAILED",
    }
)
"""Failures that a sick GPU may be behind. Not what the rest of the machinery, the image or the
inputs did, nor what went over a limit of memory or disk."""

MISSING: Final = "missing"
"""Begins the problem of a GPU that was registered and is not named any more."""


def note_success(uow: UnitOfWork, run: OpRun, held: HeldAttempt) -> None:
    """Forget what an attempt that completed on its GPU speaks against; no quarantine ends by it."""
    uuid = run.current_attempt.gpu_uuid
    record = None if uuid is None else uow.gpus.find(held.worker_id, uuid)
    if record is not None and record.quarantined_at is None:
        uow.gpus.forget(held.worker_id, record.uuid)


def note_failure(
    uow: UnitOfWork, run: OpRun, held: HeldAttempt, reason: str, outside: Outside
) -> None:
    """Count a failure against the GPU that it happened on, and put that in quarantine if need be.

    Args:
        uow: The unit of work.
        run: Its current attempt is the one that failed.
        held: The same attempt, as its worker holds it.
        reason: Why it failed.
        outside: Where what is rare is noted.
    """
    uuid = run.current_attempt.gpu_uuid
    if uuid is None or reason not in EVIDENCE:
        return
    record = uow.gpus.find(held.worker_id, uuid) or GpuRecord(held.worker_id, uuid)
    suspect = _subject(run)
    if record.quarantined_at is not None or suspect in record.failed:
        return
    record = replaced(record, failed=(*record.failed, suspect))
    if len(record.failed) >= SUSPECTED_AFTER:
        ops = ", ".join(record.failed)
        why = f"in quarantine: {len(record.failed)} different ops failed on it in a row ({ops})"
        record = replaced(record, quarantined_at=uow.now(), why=why)
        outside.tally.note("gpu quarantined", worker=held.worker_id, gpu=uuid, ops=ops)
    uow.gpus.save(record)


def with_missing(before: Sequence[Gpu], named: Sequence[Gpu], now: datetime) -> list[Gpu]:
    """Return the GPUs that a worker names, and those that it named before and does not now.

    Args:
        before: As they are stored.
        named: What the worker says now.
        now: The moment it says so.
    """
    known = {gpu.uuid for gpu in named}
    # What was only declared is there or not as its operator says.
    gone = [gpu for gpu in before if gpu.uuid not in known and not gpu.is_declared]
    why = f"{MISSING} since {format_time(now)}: its worker does not find it any more"
    return [
        *named,
        *(gpu if gpu.problem.startswith(MISSING) else replace(gpu, problem=why) for gpu in gone),
    ]


def clear(uow: UnitOfWork, worker: WorkerRecord, uuid: str) -> None:
    """Give a GPU work again; one that is missing is forgotten instead.

    Raises:
        InvalidInput: The worker has no such GPU.
    """
    gpus = worker.capacity.gpus
    found = [gpu for gpu in gpus if gpu.uuid == uuid]
    if not found:
        has = ", ".join(gpu.uuid for gpu in gpus) or "none"
        message = f"got {uuid[:80]!r}, which {worker.name} has not; its GPUs: {has}"
        raise InvalidInput([Fault(pointer="/gpu", message=message)])
    uow.gpus.forget(worker.id, uuid)
    if found[0].problem.startswith(MISSING):
        kept = [gpu for gpu in gpus if gpu.uuid != uuid]
        uow.workers.save(replaced(worker, capacity=replace(worker.capacity, gpus=kept)))
    uow.wake("dispatch")


def _subject(run: OpRun) -> str:
    """Name what failed: versions of one op, and tags of one image, are one suspect."""
    if run.op_definition is not None:
        return run.op_definition
    name = run.image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"

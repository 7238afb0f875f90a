"""What a worker is told of an attempt that it holds: everything to carry it out, or to stop it.

Values only: who holds what is decided elsewhere. The same attempt is told of in the same words by a
claim, by the repeat of a claim and to a new process that takes its container over.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyoza.models import OpRun
from gyoza.server.storage.records import HeldAttempt, Reservation
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.tokens import attempt_token
from gyoza.wire.messages import Assignment, CancelOrder, JsonObject


def assignments_of(
    uow: UnitOfWork, worker_id: str, held: Sequence[HeldAttempt]
) -> list[Assignment]:
    """Return what the worker needs for these attempts, in their order.

    Args:
        uow: The unit of work.
        worker_id: Who holds them.
        held: All of runs that exist.
    """
    granted = {(each.run_id, each.fence): each for each in uow.assignments.reserved_on(worker_id)}
    runs = {run.id: run for run in uow.runs.get_many(each.run_id for each in held)}
    return [
        _assignment(uow, runs[each.run_id], each, granted.get((each.run_id, each.fence)))
        for each in held
    ]


def cancel_order(held: HeldAttempt) -> CancelOrder | None:
    """Return the order to stop the attempt; None when nobody asked, or its worker has it not."""
    if held.cancel is None or held.claimed_at is None:
        return None
    return CancelOrder(
        run_id=held.run_id,
        fence=held.fence,
        reason=held.cancel.reason,
        message=held.cancel.message,
    )


def _assignment(
    uow: UnitOfWork, run: OpRun, held: HeldAttempt, reserved: Reservation | None
) -> Assignment:
    definition = None
    if run.op_definition is not None:
        definition = uow.definitions.find(run.op_definition, run.op_version)
    return Assignment(
        run_id=run.id,
        attempt=held.attempt,
        fence=held.fence,
        token=attempt_token(uow.cluster().secret, run.id, held.fence),
        image=run.image,
        image_digest=run.image_digest,
        inputs=run.inputs,
        granted=_granted(reserved),
        gpu_uuid=run.current_attempt.gpu_uuid,
        execution=run.execution.to_dict(),
        input_specs=definition.input_specs.to_dict() if definition else {},
        output_specs=definition.output_specs.to_dict() if definition else {},
        op_definition=run.op_definition,
        op_version=run.op_version,
        cancel=cancel_order(held),
    )


def _granted(reserved: Reservation | None) -> JsonObject:
    if reserved is None:
        return {}
    return {"cpu": reserved.cpu, "ram_mb": reserved.ram_mb, "vram_mb": reserved.vram_mb}

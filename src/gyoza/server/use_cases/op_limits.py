"""What operators set on an op whatever its version: paused or not, and how many run at once.

They belong to the op and not to a version, so that neither a deploy nor a rollback changes them.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from gyoza.server.errors import InvalidInput, OpNotFound
from gyoza.server.storage.records import OpLimits
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.limits import at_work
from gyoza.wire.messages import Fault, JsonObject, PatchLimits

MOST: Final = 1_000_000


def change_limits(uow: UnitOfWork, op_id: str, command: PatchLimits) -> JsonObject:
    """Change what is named and return all of the op's limits; what is at work goes on.

    Raises:
        OpNotFound: No op has this id.
        InvalidInput: The limit makes no sense.
    """
    before = _limits(uow, op_id)
    paused = before.paused if command.paused is UNSET else command.paused
    most = before.max_parallel if command.max_parallel is UNSET else command.max_parallel
    if most is not None and not 0 <= most <= MOST:
        message = f"got {most}, expected 0 to {MOST}, or null for no limit"
        raise InvalidInput([Fault(pointer="/max_parallel", message=message)])
    uow.definitions.set_limits(op_id, OpLimits(bool(paused), most))
    uow.wake("dispatch")
    return get_limits(uow, op_id)


def get_limits(uow: UnitOfWork, op_id: str) -> JsonObject:
    """Return an op's limits, and how many of its attempts are at work.

    Raises:
        OpNotFound: No op has this id.
    """
    return _document(op_id, _limits(uow, op_id), at_work(uow).ops[op_id])


def list_limits(uow: UnitOfWork) -> list[JsonObject]:
    """Return the limits of the ops that have any, by op id."""
    ops = at_work(uow).ops
    found = uow.definitions.limits()
    return [_document(op_id, found[op_id], ops[op_id]) for op_id in sorted(found)]


def _limits(uow: UnitOfWork, op_id: str) -> OpLimits:
    if not uow.definitions.exists(op_id):
        raise OpNotFound(op_id)
    return uow.definitions.limits().get(op_id, OpLimits())


def _document(op_id: str, limits: OpLimits, busy: int) -> JsonObject:
    return {
        "op": op_id,
        "paused": limits.paused,
        "max_parallel": limits.max_parallel,
        "at_work": busy,
    }

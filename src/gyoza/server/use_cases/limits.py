"""What holds runs back whatever room there is: paused ops, and how many may be at work at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from gyoza.server.scheduling.snapshot import Limits
from gyoza.server.storage.lanes import Barred
from gyoza.server.storage.records import Reservation
from gyoza.server.storage.unit_of_work import UnitOfWork


def read_limits(uow: UnitOfWork) -> Limits:
    """Read the limits that are set."""
    of_ops = uow.definitions.limits()
    most = {op: each.max_parallel for op, each in of_ops.items()}
    return Limits(
        paused=frozenset(op for op, each in of_ops.items() if each.paused),
        op_most={op: count for op, count in most.items() if count is not None},
    )


def barred(limits: Limits, reserved: Mapping[str, Sequence[Reservation]]) -> Barred:
    """Return the lanes that cannot move as things are, which a plan need not look at.

    Args:
        limits: The limits.
        reserved: All unfreed reservations, by worker.
    """
    holders = [each.holder for some in reserved.values() for each in some if each.holder]
    ops = Counter(each.op for each in holders if each.op is not None)
    owners = Counter(each.owner for each in holders)
    full = {op for op, most in limits.op_most.items() if ops[op] >= most}
    sated = {owner for owner, most in limits.owner_most.items() if owners[owner] >= most}
    return Barred(limits.paused | full, sated)

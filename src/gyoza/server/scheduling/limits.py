"""What holds a run back whatever room there is: paused ops, and limits per op and per owner."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple, TypeAlias

from gyoza.server.scheduling.snapshot import PendingRun, Snapshot

RuleName: TypeAlias = Literal["paused", "op_limit", "owner_limit"]


class Rule(NamedTuple):
    """Why a run is held back although there may be room.

    Attributes:
        name: Which rule it is.
        text: The same for people, with figures.
    """

    name: RuleName
    text: str


class Tally:
    """How many attempts of each op and owner are at work, in the snapshot and by its plan.

    Args:
        snapshot: The limits, and what is held; attempts that were lost count too, since their
            containers may still be there.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._limits = snapshot.limits
        held = [each for worker in snapshot.workers for each in worker.holdings]
        self._ops = Counter(each.op for each in held)
        self._owners = Counter(each.owner for each in held)

    def rule(self, run: PendingRun) -> Rule | None:
        """Return what holds the run back; None when nothing does."""
        limits, op, owner = self._limits, run.op, run.owner
        if op is not None:
            if op in limits.paused:
                return Rule("paused", f"op {op} is paused")
            most = limits.op_most.get(op)
            if most is not None and self._ops[op] >= most:
                return Rule("op_limit", f"op {op} runs {self._ops[op]} at once, its most is {most}")
        most = limits.owner_most.get(owner)
        if most is not None and self._owners[owner] >= most:
            has = f"owner {owner} has" if owner else "runs without an owner have"
            return Rule("owner_limit", f"{has} {self._owners[owner]} at work, the most is {most}")
        return None

    def placed(self, run: PendingRun) -> None:
        """Count a run that got a place."""
        self._ops[run.op] += 1
        self._owners[run.owner] += 1

"""Why a waiting run is held back whatever room there is: time, order, keys, limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from gyoza.models import OpRun
from gyoza.models.timestamps import format_time
from gyoza.server.scheduling.snapshot import Limits
from gyoza.server.storage.lanes import AWAITING_KEY, AWAITING_RUNS
from gyoza.server.storage.records import Reservation
from gyoza.server.use_cases.attempts import BACKOFF

HoldName: TypeAlias = Literal[
    "paused", "op_limit", "owner_limit", "key", "after", "delayed", "backoff"
]
_SHOWN: Final = 3
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


class Hold(NamedTuple):
    """Why a run is not even considered.

    Attributes:
        name: Which rule it is.
        text: The same for people, with figures.
        run_ids: The runs that it waits for, or that have what it waits for; () when none is meant.
    """

    name: HoldName
    text: str
    run_ids: tuple[str, ...] = ()


class Holds:
    """What holds runs back at one moment.

    Args:
        now: The moment.
        limits: The limits that are set.
        reserved: All unfreed reservations, by worker.
    """

    def __init__(
        self, now: datetime, limits: Limits, reserved: Mapping[str, Sequence[Reservation]]
    ) -> None:
        self._now = now
        self._limits = limits
        all_reserved = [each for some in reserved.values() for each in some]
        at_work = [each.holder for each in all_reserved if each.holder is not None]
        self._of_op = Counter(holder.op for holder in at_work)
        self._of_owner = Counter(holder.owner for holder in at_work)
        self._of_key: dict[str, list[str]] = {}
        for each in all_reserved:
            if each.concurrency_key is not None:
                self._of_key.setdefault(each.concurrency_key, []).append(each.run_id)

    def on(self, run: OpRun, after: Sequence[str] = ()) -> Hold | None:
        """Return what holds a waiting run back; None when only room or its turn is missing.

        Args:
            run: The run; PENDING.
            after: The runs that it comes after and that have not ended, where that was read.
        """
        if run.phase == AWAITING_RUNS:
            return Hold("after", f"comes after {_names(after) or 'other runs'}", tuple(after))
        if run.due_at is not None and run.due_at > self._now:
            return self._not_due(run, run.due_at)
        if run.phase == AWAITING_KEY:
            return self._awaits_key(run)
        return self._limited(run.op_definition, run.owner)

    def _not_due(self, run: OpRun, due_at: datetime) -> Hold:
        at, left = format_time(due_at), _span((due_at - self._now).total_seconds())
        if run.phase == BACKOFF:
            return Hold("backoff", f"pauses after a failed attempt until {at}, for {left} more")
        return Hold("delayed", f"is due in {left}, at {at}")

    def _awaits_key(self, run: OpRun) -> Hold:
        asked = run.execution.concurrency or {}
        key, limit = str(asked.get("key", "")), asked.get("limit", 1)
        holders = tuple(self._of_key.get(key, ()))
        held = f", held by {_names(holders)}" if holders else ""
        return Hold("key", f"concurrency key {key} admits {limit} at once{held}", holders)

    def _limited(self, op: str | None, owner: str | None) -> Hold | None:
        if op is not None and op in self._limits.paused:
            return Hold("paused", f"op {op} is paused")
        most = None if op is None else self._limits.op_most.get(op)
        if most is not None and self._of_op[op] >= most:
            return Hold("op_limit", f"op {op} runs {self._of_op[op]} of at most {most} at once")
        most = self._limits.owner_most.get(owner)
        if most is not None and self._of_owner[owner] >= most:
            who = owner or "runs without an owner"
            return Hold("owner_limit", f"{who}: {self._of_owner[owner]} of at most {most} at work")
        return None


def _names(run_ids: Sequence[str]) -> str:
    more = f" and {len(run_ids) - _SHOWN} more" if len(run_ids) > _SHOWN else ""
    return ", ".join(run_ids[:_SHOWN]) + more


def _span(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    if seconds < 2 * _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    return f"{round(seconds / _HOUR_S)} h"

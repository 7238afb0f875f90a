"""Why a waiting run is held back whatever room there is: time, order, keys, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from gyoza.models import OpRun
from gyoza.models.timestamps import format_time
from gyoza.server.scheduling.limits import RuleName, Tally
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot
from gyoza.server.storage.lanes import AWAITING_KEY, AWAITING_RUNS
from gyoza.server.storage.records import Reservation
from gyoza.server.use_cases.attempts import BACKOFF

HoldName: TypeAlias = RuleName | Literal["key", "after", "delayed", "backoff"]
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
        snapshot: The moment, the limits, and what is at work; what waits in it does not matter.
        keys: The runs that have a place of each concurrency key.
    """

    def __init__(self, snapshot: Snapshot, keys: Mapping[str, Sequence[str]]) -> None:
        self._now = snapshot.now
        self._tally = Tally(snapshot)
        self._keys = keys

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
        rule = self._tally.rule(_as_planned(run))
        return None if rule is None else Hold(rule.name, rule.text)

    def _not_due(self, run: OpRun, due_at: datetime) -> Hold:
        at, left = format_time(due_at), _span((due_at - self._now).total_seconds())
        if run.phase == BACKOFF:
            return Hold("backoff", f"pauses after a failed attempt until {at}, for {left} more")
        return Hold("delayed", f"is due in {left}, at {at}")

    def _awaits_key(self, run: OpRun) -> Hold:
        asked = run.execution.concurrency or {}
        key, limit = str(asked.get("key", "")), asked.get("limit", 1)
        holders = tuple(self._keys.get(key, ()))
        held = f", held by {_names(holders)}" if holders else ""
        return Hold("key", f"concurrency key {key} admits {limit} at once{held}", holders)


def _as_planned(run: OpRun) -> PendingRun:
    return PendingRun(run.id, run.priority, run.created_at, Shape(), run.owner, run.op_definition)


def holders(reserved: Mapping[str, Sequence[Reservation]]) -> dict[str, list[str]]:
    """Return which runs have a place of each concurrency key."""
    found: dict[str, list[str]] = {}
    for each in (each for some in reserved.values() for each in some):
        if each.concurrency_key is not None:
            found.setdefault(each.concurrency_key, []).append(each.run_id)
    return found


def _names(run_ids: Sequence[str]) -> str:
    more = f" and {len(run_ids) - _SHOWN} more" if len(run_ids) > _SHOWN else ""
    return ", ".join(run_ids[:_SHOWN]) + more


def _span(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    if seconds < 2 * _HOUR_S:
        return f"{round(seconds / _MINUTE_S)} min"
    return f"{round(seconds / _HOUR_S)} h"

"""The records of one world, put in order: runs, their events, who held them when, what ran where.

Arithmetic on records only; nothing of gyoza is imported, so that a mistake in the production code
cannot make its own judge agree with it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.simulation.recording import Record

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
FOREVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Event:
    """One row of a run's timeline; `t` is when it was recorded."""

    number: int
    attempt: int
    t: int
    type: str
    message: Any
    payload: dict[str, Any]

    @property
    def is_final(self) -> bool:
        """It ended the run for everyone to see."""
        return self.type in TERMINAL and self.payload.get("final", True)


@dataclass(slots=True)
class Holding:
    """One assignment: from ASSIGNED to whatever ended it.

    Attributes:
        closed_at: `FOREVER` while it is open.
        closed_by: The event that ended it.
    """

    run: str
    fence: int
    worker: str
    attempt: int
    opened_at: int
    closed_at: int = FOREVER
    closed_by: Event | None = None


@dataclass(slots=True)
class Life:
    """One container's life on one host; moments are `FOREVER` when they never came."""

    host: str
    name: str
    run: str
    attempt: int
    fence: int
    created_at: int
    started_at: int = FOREVER
    died_at: int = FOREVER
    exit_code: int | None = None
    is_oom: bool = False
    cause: str = ""
    starts: int = 0


class Index:
    """Everything the checker asks about, with its cross references.

    Args:
        records: Of one world, in order.
    """

    def __init__(self, records: list[Record]) -> None:
        self.by_kind: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            self.by_kind[record["kind"]].append(record)

    @cached_property
    def setup(self) -> Record:
        """The numbers the world was set up with."""
        return self.by_kind["setup"][0]

    @cached_property
    def skew_us(self) -> int:
        """By how much a record's time may lie after the moment it tells of."""
        return int(self.setup.get("skew_us", 0))

    @cached_property
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that were there at the end."""
        return self.by_kind["dump"][-1]["tables"]

    @cached_property
    def runs(self) -> dict[str, dict[str, Any]]:
        """Rows of runs by id."""
        return {row["id"]: row for row in self.tables["op_runs"]}

    @cached_property
    def attempts(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of attempts by run, in order."""
        return _grouped(self.tables["op_attempts"], "run_id", "attempt")

    @cached_property
    def reservations(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Rows of reservations by run and fence."""
        return {(row["run_id"], row["fence"]): row for row in self.tables["reservations"]}

    @cached_property
    def events(self) -> dict[str, list[Event]]:
        """Timelines by run, in their order."""
        rows = _grouped(self.tables["events"], "run_id", "number")
        return {run: [_event(row) for row in found] for run, found in rows.items()}

    @cached_property
    def holdings(self) -> dict[str, list[Holding]]:
        """Assignments by run, in order: the n-th ASSIGNED belongs to the n-th lowest fence."""
        fences: dict[str, list[int]] = defaultdict(list)
        for run, fence in sorted(self.reservations):
            fences[run].append(fence)
        return {
            run: _holdings(run, events, fences.get(run, [])) for run, events in self.events.items()
        }

    @cached_property
    def holding_of(self) -> dict[tuple[str, int], Holding]:
        """Assignments by run and fence."""
        return {(each.run, each.fence): each for one in self.holdings.values() for each in one}

    @cached_property
    def lives(self) -> list[Life]:
        """Containers, in the order in which they were made."""
        found: dict[tuple[str, str], Life] = {}
        made: list[Life] = []
        for record in self.by_kind["container"]:
            key = (record["host"], record["name"])
            if record["what"] == "create" or key not in found:
                found[key] = _life(record)
                made.append(found[key])
            _live_on(found[key], record)
        return made

    def calls(self, call: str) -> list[Record]:
        """What workers asked of the server, of one kind."""
        return [each for each in self.by_kind["net"] if each["call"] == call]

    def faults(self, *names: str) -> list[Record]:
        """What the nemesis did."""
        return [each for each in self.by_kind["fault"] if each["fault"] in names]


def _grouped(rows: list[dict[str, Any]], group: str, order: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row[group], row[order])):
        found[row[group]].append(row)
    return dict(found)


def _event(row: dict[str, Any]) -> Event:
    return Event(
        row["number"],
        row["attempt"],
        row["recorded_us"],
        row["type"],
        json.loads(row["msg"]),
        json.loads(row["payload"]),
    )


def _holdings(run: str, events: list[Event], fences: list[int]) -> list[Holding]:
    made: list[Holding] = []
    left = iter(fences)
    for event in events:
        if event.type == "ASSIGNED":
            fence = next(left, -1)
            worker = event.payload.get("worker_id", "")
            made.append(Holding(run, fence, worker, event.attempt, event.t))
        elif (event.type in TERMINAL or event.type == "RELEASED") and made:
            last = made[-1]
            if last.closed_by is None:
                last.closed_at, last.closed_by = event.t, event
    return made


def _life(record: Record) -> Life:
    return Life(
        record["host"],
        record["name"],
        record["run"],
        record["attempt"],
        record["fence"],
        record["t"],
    )


def _live_on(life: Life, record: Record) -> None:
    match record["what"]:
        case "start":
            life.started_at = min(life.started_at, record["t"])
            life.starts += 1
        case "die":
            life.died_at = record["t"]
            life.exit_code, life.is_oom = record["exit_code"], record["oom"]
            life.cause = record["cause"]
        case "remove":
            life.died_at = min(life.died_at, record["t"])
        case _:
            pass

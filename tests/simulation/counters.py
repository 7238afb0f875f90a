"""The rare things a run of worlds must have reached, counted from the same records.

A storm that never let a lease expire proves nothing about leases: what stays at zero is red.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from tests.simulation.history import FOREVER, Index
from tests.simulation.recording import Record

_SECOND = 1_000_000


def count(records: list[Record]) -> Counter[str]:
    """How often each of `SOMETIMES` happened."""
    index = Index(records)
    return Counter({name: counted(index) for name, counted in SOMETIMES.items()})


def _lease_expired(index: Index) -> int:
    return sum(
        each.closed_by is not None and "was not heard of for" in str(each.closed_by.message)
        for each in index.holding_of.values()
    )


def _stale_write_refused(index: Index) -> int:
    return sum(each["status"] == "STALE" for each in index.calls("report"))


def _adopted(index: Index) -> int:
    return sum(
        verdict == "ADOPT" for each in index.calls("register") for _, verdict in each["verdicts"]
    )


def _finished(index: Index) -> int:
    return sum(
        verdict == "FINISH" for each in index.calls("register") for _, verdict in each["verdicts"]
    )


def _duplicate_claim_answered(index: Index) -> int:
    claims = Counter(each["claim"] for each in index.calls("claim") if each["held"])
    return sum(number - 1 for number in claims.values())


def _repeated_result_acknowledged(index: Index) -> int:
    results = Counter(
        (each["run"], each["fence"], each["digest"])
        for each in index.calls("report")
        if each["digest"] and each["status"] == "OK"
    )
    return sum(number - 1 for number in results.values())


def _amnesty_used(index: Index) -> int:
    """Silent for longer than a lease, and yet the same attempt went on."""
    lease_us = index.setup["lease_s"] * _SECOND
    renewals: dict[tuple[str, int], list[int]] = {}
    for each in index.by_kind["net"]:
        if each["call"] in {"heartbeat", "claim"}:
            for run, fence in each["held"]:
                renewals.setdefault((run, fence), []).append(each["t"])
    found = 0
    for key, moments in renewals.items():
        holding = index.holding_of.get(key)
        if holding is not None:
            mine = [holding.opened_at, *(t for t in moments if t <= holding.closed_at)]
            gaps = (after - before for before, after in pairwise(mine))
            found += any(gap > lease_us for gap in gaps)
    return found


def _commit_unknown(index: Index) -> int:
    return len(index.faults("commit unknown"))


def _cancel_beat_complete(index: Index) -> int:
    """Somebody cancelled, a container was running, and the run ended as CANCELLED."""
    started = {life.run for life in index.lives if life.started_at != FOREVER}
    return sum(run in started and _end(index, run) == "CANCELLED" for run in _cancelled(index))


def _complete_beat_cancel(index: Index) -> int:
    """Somebody asked to cancel while it ran, and it completed nevertheless."""
    return sum(_end(index, run) == "COMPLETED" for run in _cancelled(index))


def _lost_answer_of_engine(index: Index) -> int:
    return len(index.faults("engine answer lost"))


def _released(index: Index) -> int:
    return sum(
        each.closed_by is not None and each.closed_by.type == "RELEASED"
        for each in index.holding_of.values()
    )


def _let_go(index: Index) -> int:
    """Came after another run and was assigned."""
    return sum(
        any(event.type == "ASSIGNED" for event in index.events.get(run, []))
        for run, row in index.runs.items()
        if {"after", "after_any"} & json.loads(row["tags"]).keys()
    )


def _dependency_failed(index: Index) -> int:
    return sum(row["reason"] == "DEPENDENCY_FAILED" for row in index.runs.values())


def _cancelled(index: Index) -> set[str]:
    """Runs with a cancel that the server carried out or refused because they had just ended."""
    return {each["about"] for each in index.by_kind["api"] if each["op"] == "cancel"}


def _end(index: Index, run: str) -> str:
    return index.runs[run]["state"] if run in index.runs else ""


SOMETIMES: dict[str, Callable[[Index], int]] = {
    "lease expired": _lease_expired,
    "stale write refused": _stale_write_refused,
    "adopted": _adopted,
    "finished after a restart": _finished,
    "duplicate claim answered": _duplicate_claim_answered,
    "repeated result acknowledged": _repeated_result_acknowledged,
    "amnesty used": _amnesty_used,
    "commit unknown": _commit_unknown,
    "cancel beat complete": _cancel_beat_complete,
    "complete beat cancel": _complete_beat_cancel,
    "engine's answer lost": _lost_answer_of_engine,
    "assignment given back": _released,
    "started after another run": _let_go,
    "cancelled with the run before": _dependency_failed,
}

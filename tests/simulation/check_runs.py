"""What callers were promised: runs stay, keys count once, states are explained, outputs whole."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tests.simulation.history import TERMINAL, Event, Index

_SAME = {"INFO", "ERROR"}
# Written down a second time on purpose: the production table must not be its own judge.
_MACHINE: dict[str, dict[str, str]] = {
    "PENDING": {"ASSIGNED": "ASSIGNED", "FAILED": "FAILED", "CANCELLED": "CANCELLED"},
    "ASSIGNED": {
        "RELEASED": "PENDING",
        "STARTED": "RUNNING",
        "PROGRESS": "ASSIGNED",
        "COMPLETED": "COMPLETED",
        "FAILED": "FAILED",
        "CANCELLED": "CANCELLED",
    },
    "RUNNING": {
        "PROGRESS": "RUNNING",
        "COMPLETED": "COMPLETED",
        "FAILED": "FAILED",
        "CANCELLED": "CANCELLED",
    },
    "COMPLETED": {},
    "FAILED": {"RETRIED": "PENDING"},
    "CANCELLED": {"RETRIED": "PENDING"},
}


def acknowledged_runs_are_there(index: Index) -> Iterator[str]:
    """I1: every run whose submit was acknowledged is in the final dump."""
    for record in index.by_kind["client"]:
        if (
            record["op"] == "submit"
            and record["outcome"] == "ok"
            and record["id"] not in index.runs
        ):
            yield f"run {record['id']} of {record['about']} was acknowledged and is gone"


def one_key_has_at_most_one_run(index: Index) -> Iterator[str]:
    """I2: runs per idempotency key; a submit of unknown outcome may have made one or none."""
    keys = Counter(json.loads(row["tags"]).get("key") for row in index.runs.values())
    for key, number in keys.items():
        if key is not None and number > 1:
            yield f"{number} runs have the idempotency key {key}"
    told: dict[str, set[str]] = defaultdict(set)
    for record in index.by_kind["client"]:
        if record["op"] == "submit" and record["outcome"] == "ok":
            told[record["about"]].add(record["id"])
    for key, ids in told.items():
        if len(ids) > 1:
            yield f"callers with the key {key} were told of {len(ids)} runs"


def history_explains_state(index: Index) -> Iterator[str]:
    """I3: events are numbered 1 to n and lead to the row's state, attempt and reason."""
    for run_id, row in index.runs.items():
        events = index.events.get(run_id, [])
        numbers = [event.number for event in events]
        if numbers != list(range(1, len(numbers) + 1)) or row["last_event"] != len(numbers):
            yield f"run {run_id} has events {numbers[:50]}, counted {row['last_event']}"
            continue
        folded = _fold(events)
        if isinstance(folded, str):
            yield f"run {run_id}: {folded}"
        elif folded != (row["state"], row["attempt"], row["reason"]):
            stored = (row["state"], row["attempt"], row["reason"])
            yield f"run {run_id} is {stored}, its events say {folded}"


def terminal_states_stay(index: Index) -> Iterator[str]:
    """I4: an ended run opens again only because somebody asked, or at once and unseen."""
    for run_id, events in index.events.items():
        yield from _unasked_retries(index, run_id, events)
    yield from _changed_before_readers(index)


def completed_means_valid_output(index: Index) -> Iterator[str]:
    """I12: a completed run has the output of its winning attempt, and nobody saw it earlier."""
    for run_id, row in index.runs.items():
        if row["state"] == "COMPLETED":
            attempts = index.attempts.get(run_id, [])
            outputs = json.loads(attempts[-1]["outputs"]) if attempts else None
            if outputs != {"run": run_id, "attempt": row["attempt"]}:
                yield f"run {run_id} completed by attempt {row['attempt']} has outputs {outputs}"
    for record in index.by_kind["client"]:
        if record["op"] == "read" and record["outcome"] == "ok":
            outputs, is_complete = record.get("outputs"), record["state"] == "COMPLETED"
            expected = {"run": record["id"], "attempt": record["attempt"]} if is_complete else {}
            if outputs != expected:
                yield f"run {record['id']} was read as {record['state']} with outputs {outputs}"


def everything_ends(index: Index) -> Iterator[str]:
    """I13: after the healing and the longest rightful wait every run is over."""
    for run_id, row in index.runs.items():
        if row["state"] not in TERMINAL:
            yield f"run {run_id} is still {row['state']} ({row['phase']}) at the end"


def nobody_starts_too_early(index: Index) -> Iterator[str]:
    """CHAIN: who comes after another run starts once that has ended as it had to, or never."""
    for run_id, row in index.runs.items():
        tags = json.loads(row["tags"])
        first = tags.get("after") or tags.get("after_any")
        if first is None:
            continue
        ends = [each for each in index.events.get(first, []) if each.is_final]
        for event in _until_reopened(index.events.get(run_id, [])):
            met = [each for each in ends if each.t <= event.t]
            if event.type == "ASSIGNED" and not _has_met(met, needs_success="after" in tags):
                yield f"run {run_id} was assigned before {first} had ended as it had to"
            if event.payload.get("reason") == "DEPENDENCY_FAILED" and (
                "after" not in tags or all(each.type == "COMPLETED" for each in met)
            ):
                yield f"run {run_id} was cancelled for {first}, which had not failed"


def _until_reopened(events: list[Event]) -> Iterator[Event]:
    """The events before a retry by hand: after one a run waits for nobody."""
    for event in events:
        yield event
        if event.is_final:
            return


def _has_met(ends: list[Event], *, needs_success: bool) -> bool:
    return any(each.type == "COMPLETED" or not needs_success for each in ends)


def nothing_complains(index: Index) -> Iterator[str]:
    """No task of any process died with an error that nobody took."""
    for record in index.by_kind["complaint"]:
        yield record["text"]


def _fold(events: list[Event]) -> tuple[str, int, str | None] | str:
    state, attempt, reason = "PENDING", 1, None
    for event in events:
        following = state if event.type in _SAME else _MACHINE[state].get(event.type)
        if following is None or (state in TERMINAL and event.type in _SAME):
            return f"event {event.number} is {event.type} while {state}"
        expected = attempt + (event.type == "RETRIED")
        if event.attempt != expected:
            return f"event {event.number} is of attempt {event.attempt}, expected {expected}"
        state, attempt = following, expected
        reason = event.payload.get("reason") if state in TERMINAL else None
    return state, attempt, reason


def _unasked_retries(index: Index, run_id: str, events: list[Event]) -> Iterator[str]:
    asked = sum(
        each["op"] == "retry" and each["about"] == run_id and each["outcome"] != "refused"
        for each in index.by_kind["api"]
    )
    by_hand = 0
    for before, event in pairwise(events):
        if event.type == "RETRIED":
            by_hand += before.is_final
            if not before.is_final and before.t != event.t:
                yield f"run {run_id} could be read as FAILED before event {event.number}"
        elif before.type in TERMINAL:
            yield f"run {run_id} ended with event {before.number} and went on to {event.type}"
    if by_hand > asked:
        yield f"run {run_id} was opened again {by_hand} times, asked for {asked} times"
    if events and events[-1].type in TERMINAL and not events[-1].is_final:
        yield f"run {run_id} ended with a failure that says it is not final"


def _changed_before_readers(index: Index) -> Iterator[str]:
    """Two readers, one after the other: what the first saw ended is still so for the second."""
    seen: dict[str, dict[str, Any]] = {}
    for record in index.by_kind["client"]:
        if record["op"] != "read" or record["outcome"] != "ok":
            continue
        first = seen.get(record["id"])
        if first is not None and first["t"] <= record["sent"] and _differs(first, record):
            opened = any(
                event.type == "RETRIED" and first["sent"] <= event.t <= record["t"]
                for event in index.events.get(record["id"], [])
            )
            if not opened:
                yield f"run {record['id']} was read as {first['state']}, later {record['state']}"
        if record["state"] in TERMINAL:
            seen[record["id"]] = record


def _differs(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return (first["state"], first["attempt"]) != (second["state"], second["attempt"])

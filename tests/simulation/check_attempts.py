"""What attempts were promised: one at a time, by one worker, in one container, fairly counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

from tests.simulation.history import FOREVER, TERMINAL, Event, Holding, Index, Life
from tests.simulation.recording import Record

_USERS = frozenset({"USER_ERROR", "OOM", "BAD_INPUT", "RUN_TIMEOUT", "DISK_LIMIT"})
SILENCING = frozenset(
    {
        "kill worker",
        "freeze worker",
        "kill server",
        "freeze server",
        "partition",
        "cut requests",
        "cut answers",
        "lossy wire",
    }
)
_SECOND = 1_000_000
_EXPIRED = "was not heard of for"


def one_attempt_is_active(index: Index) -> Iterator[str]:
    """I5: the next attempt begins after the one before was closed, and one at most is open."""
    for run_id, events in index.events.items():
        for before, after in pairwise(events):
            if after.attempt < before.attempt:
                yield f"run {run_id}: event {after.number} goes back to attempt {after.attempt}"
        for first, second in pairwise(index.holdings[run_id]):
            if first.closed_by is None:
                yield f"run {run_id} was assigned again under fence {second.fence} while held"
    for run_id, rows in index.attempts.items():
        active = [row["attempt"] for row in rows if row["state"] not in TERMINAL]
        if len(active) > 1 or (active and active[0] != rows[-1]["attempt"]):
            yield f"run {run_id} has attempts {active} active at once"


def no_stale_write_is_accepted(index: Index) -> Iterator[str]:
    """I6: an accepted write came from the holder while it held, or repeats one that did."""
    known: set[tuple[str, int, str]] = set()
    for report in index.calls("report"):
        key = (report["run"], report["fence"], report["digest"])
        if report["status"] == "OK" and not (report["digest"] and key in known):
            yield from _stale(index, report)
        if report["status"] in {"OK", "UNKNOWN"} and report["digest"]:
            known.add(key)
    for release in index.calls("release"):
        if release["status"] == "OK":
            yield from _stale(index, release)


def one_container_per_attempt(index: Index) -> Iterator[str]:
    """I7: one create per fence, one start per attempt; overlap only with one known to be lost."""
    # One that was taken away before it started did nothing: making it again is no second life.
    creates = Counter(
        (each.run, each.attempt, each.fence)
        for each in index.lives
        if each.starts or each.died_at == FOREVER
    )
    for (run, attempt, fence), number in creates.items():
        if number > 1:
            yield f"run {run} attempt {attempt} fence {fence} got {number} containers"
    starts: Counter[tuple[str, int]] = Counter()
    for each in index.lives:
        starts[each.run, each.attempt] += each.starts
    for (run, attempt), number in starts.items():
        if number > 1:
            yield f"run {run} attempt {attempt} was started {number} times"
    yield from _overlaps(index)


def retries_are_accounted_for(index: Index) -> Iterator[str]:
    """I14: both budgets hold since the last manual retry; reasons tell the user's from ours."""
    for run_id, rows in index.attempts.items():
        yield from _over_budget(index, run_id, rows)
        for row in rows:
            if row["state"] == "FAILED" and not row["reason"]:
                yield f"run {run_id} attempt {row['attempt']} failed for no reason"
    lives = {(each.run, each.fence): each for each in index.lives}
    for holding in index.holding_of.values():
        life = lives.get((holding.run, holding.fence))
        if holding.closed_by is not None and life is not None:
            yield from _blame(holding, holding.closed_by, life)


def no_lease_ends_without_cause(index: Index) -> Iterator[str]:
    """A lease ends only if something cut its worker off, and never while the server was to wait."""
    for holding in index.holding_of.values():
        event = holding.closed_by
        if event is None or event.payload.get("reason") != "WORKER_LOST":
            continue
        if _EXPIRED not in str(event.message):
            continue
        yield from _during_amnesty(index, holding)
        if not _was_cut_off(index, holding):
            yield f"run {holding.run} lost its lease at {holding.closed_at} and nothing was broken"


def _stale(index: Index, write: Record) -> Iterator[str]:
    run, fence, at = write["run"], write["fence"], write.get("done", write["t"])
    holding = index.holding_of.get((run, fence))
    if holding is None or holding.worker != write["worker"]:
        yield f"{write['call']} for run {run} fence {fence} was taken from {write['worker']}"
        return
    if at > holding.closed_at + index.skew_us:
        yield f"{write['call']} for run {run} fence {fence} was taken after it was closed"
    later = [
        other.fence
        for other in index.holdings[run]
        if other.fence > fence and other.opened_at + index.skew_us < at
    ]
    if later:
        yield f"{write['call']} for run {run} fence {fence} was taken under fence {later[-1]}"


def _overlaps(index: Index) -> Iterator[str]:
    by_run: dict[str, list[Life]] = {}
    for life in index.lives:
        if life.started_at != FOREVER:
            by_run.setdefault(life.run, []).append(life)
    for lives in by_run.values():
        for first, second in combinations(sorted(lives, key=lambda life: life.started_at), 2):
            lost = _is_lost(index, first) or _is_lost(index, second)
            if second.started_at < first.died_at and not lost:
                yield f"containers {first.name} and {second.name} ran at the same time"
    for holding in index.holding_of.values():
        released = holding.closed_by is not None and holding.closed_by.type == "RELEASED"
        started = [
            life
            for life in by_run.get(holding.run, [])
            if life.fence == holding.fence and life.started_at != FOREVER
        ]
        if released and started:
            yield f"run {holding.run} fence {holding.fence} was given back although it had started"


def _is_lost(index: Index, life: Life) -> bool:
    """Its attempt was closed without its worker's word."""
    holding = index.holding_of.get((life.run, life.fence))
    if holding is None or holding.closed_by is None:
        return False
    return not any(
        each["run"] == life.run and each["fence"] == life.fence and each["digest"]
        for each in index.calls("report")
        if each["status"] in {"OK", "UNKNOWN"}
    )


def _over_budget(index: Index, run_id: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    by_hand = [
        after.attempt
        for before, after in pairwise(index.events.get(run_id, []))
        if after.type == "RETRIED" and before.is_final
    ]
    since = max(by_hand, default=1)
    failed = [row for row in rows if row["attempt"] >= since and row["state"] == "FAILED"]
    allowed = json.loads(index.runs[run_id]["retry_policy"]).get("max_attempts", 1)
    charged = sum(bool(row["charged"]) for row in failed)
    if charged > allowed:
        yield f"run {run_id} was charged {charged} attempts, {allowed} are allowed"
    machinery = index.setup["machinery_attempts"]
    if len(failed) - charged > machinery:
        yield f"run {run_id} had {len(failed) - charged} uncharged attempts of {machinery}"


def _blame(holding: Holding, event: Event, life: Life) -> Iterator[str]:
    reason = event.payload.get("reason") if event.type == "FAILED" else None
    whose = f"run {holding.run} attempt {holding.attempt}"
    if reason == "OOM" and not life.is_oom:
        yield f"{whose} is said to be out of memory; exit {life.exit_code}, by {life.cause}"
    if reason in _USERS and life.cause in {"hand", "engine"}:
        yield f"{whose} is blamed for {reason}; its container was ended by the {life.cause}"
    if reason == "USER_ERROR" and life.exit_code == 0:
        yield f"{whose} is blamed for {reason} and exited with 0"


def _during_amnesty(index: Index, holding: Holding) -> Iterator[str]:
    amnesty_us = index.setup["amnesty_s"] * _SECOND
    for record in index.by_kind["server"]:
        if record["what"] != "back":
            continue
        since_us = holding.closed_at - record["t"]
        if index.skew_us < since_us < amnesty_us - index.skew_us:
            yield (
                f"run {holding.run} lost its lease {since_us / _SECOND:.1f} s after the server "
                f"came back; nothing expires for {index.setup['amnesty_s']:g} s"
            )


def _was_cut_off(index: Index, holding: Holding) -> bool:
    """Something that can silence its worker was broken within a lease before the end."""
    patience_us = (index.setup["lease_s"] + index.setup["amnesty_s"]) * _SECOND
    hosts = {row["id"]: row["name"] for row in index.tables["workers"]}
    concerned = {hosts.get(holding.worker, ""), "server"}
    for fault in index.by_kind["fault"]:
        until = fault.get("until", fault["t"])
        is_cause = fault["fault"] in SILENCING and fault["target"] in concerned
        if is_cause and fault["t"] <= holding.closed_at <= until + patience_us:
            return True
    return False

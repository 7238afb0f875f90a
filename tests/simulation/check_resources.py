"""What machines were promised: never more than they have, and nothing left behind."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.simulation.history import FOREVER, Index
from tests.simulation.recording import Record

Step = tuple[int, int, str, int, str]
"""Moment, frees first, resource, change, who."""


def capacity_is_never_exceeded(index: Index) -> Iterator[str]:
    """I8: reservations, and containers that really run, sum to no more than the worker has."""
    for worker in index.tables["workers"]:
        rooms = _rooms(worker)
        mine = [row for row in index.reservations.values() if row["worker_id"] == worker["id"]]
        reserved = [(row, row["reserved_us"], row["freed_us"] or FOREVER) for row in mine]
        yield from _sweep(f"reserved on {worker['name']}", rooms, reserved)
        running = [
            (row, life.started_at, life.died_at)
            for life in index.lives
            if (row := index.reservations.get((life.run, life.fence))) is not None
            and row["worker_id"] == worker["id"]
            and life.started_at != FOREVER
        ]
        yield from _sweep(f"running on {worker['name']}", rooms, running)


def nothing_leaks(index: Index) -> Iterator[str]:
    """I9: at quiet nothing is reserved, running, noted or kept without an active attempt."""
    active = {
        (holding.run, holding.fence)
        for holding in index.holding_of.values()
        if holding.closed_by is None
    }
    for key, row in index.reservations.items():
        if row["freed_us"] is None and key not in active:
            yield f"run {key[0]} fence {key[1]} is over and its reservation is not freed"
    for left in index.by_kind["left"]:
        yield from _left_on(left, active)


def _left_on(left: Record, active: set[tuple[str, int]]) -> Iterator[str]:
    for each in left["containers"]:
        if (each["run"], each["fence"]) not in active:
            yield f"container {each['name']} is left on {left['host']}"
    if not active:
        for folder in left["folders"]:
            yield f"folder {folder} is left on {left['host']}"
        for run, fence in left["unfinished"]:
            yield f"the journal of {left['host']} still has run {run} fence {fence}"


def _rooms(worker: dict[str, Any]) -> dict[str, int]:
    rooms = {"cpu": worker["cpu"], "ram_mb": worker["ram_mb"]}
    return rooms | {gpu["uuid"]: gpu["vram_mb"] for gpu in json.loads(worker["gpus"])}


def _sweep(
    where: str, rooms: dict[str, int], spans: Iterable[tuple[dict[str, Any], int, int]]
) -> Iterator[str]:
    steps: list[Step] = []
    for row, begin, end in spans:
        who = f"{row['run_id']}/{row['fence']}"
        for resource, amount in _amounts(row):
            steps += [(begin, 1, resource, amount, who), (end, 0, resource, -amount, who)]
    used: dict[str, int] = defaultdict(int)
    for moment, _, resource, change, who in sorted(steps):
        used[resource] += change
        room = rooms.get(resource, 0)
        if change > 0 and used[resource] > room:
            yield f"{used[resource]} of {room} {resource} {where} at {moment}, last by {who}"


def _amounts(row: dict[str, Any]) -> Iterator[tuple[str, int]]:
    yield "cpu", row["cpu"]
    yield "ram_mb", row["ram_mb"]
    if row["vram_mb"]:
        yield row["gpu_uuid"] or "no gpu", row["vram_mb"]

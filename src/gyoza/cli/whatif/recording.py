"""A load and a fleet as the server has them, and writing them down for later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gyoza.cli.whatif import fields
from gyoza.models import OpRun
from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.fleet import Box, Fleet
from gyoza.server.whatif.load import Load, LoadRun, recorded
from gyoza.wire.messages import WorkerView


def record_load(runs: Iterable[OpRun], since: datetime) -> Load:
    """Take the runs submitted since a moment, as far as it is known how long they took.

    A run counts with the time of all its attempts that ended, and from the moment it was due.

    Args:
        runs: Newest first, as the server lists them; read as far as needed.
        since: Older ones are not taken.
    """
    found: list[LoadRun] = []
    unknown = 0
    for run in runs:
        if run.created_at < since:
            break
        taken = _load_run(run)
        if taken is None:
            unknown += 1
        else:
            found.append(taken)
    left_out = (f"{unknown} runs of which no attempt has started and ended",) if unknown else ()
    first_s = min((run.submitted_s for run in found), default=0.0)
    moved = [replace(run, submitted_s=run.submitted_s - first_s) for run in found]
    return recorded("recorded", moved, left_out)


def _load_run(run: OpRun) -> LoadRun | None:
    spans = [
        (attempt.finished_at - attempt.started_at).total_seconds()
        for attempt in run.attempts
        if attempt.started_at is not None and attempt.finished_at is not None
    ]
    if not spans:
        return None
    needs = run.constraints
    return LoadRun(
        submitted_s=max(run.created_at, run.due_at or run.created_at).timestamp(),
        duration_s=max(0.001, sum(spans)),
        shape=Shape(
            cpu=fields.DEFAULT_CPU if needs.cpu is None else needs.cpu,
            ram_mb=fields.DEFAULT_RAM_MB if needs.ram_mb is None else needs.ram_mb,
            vram_mb=needs.vram_mb or 0,
            selectors=tuple(sorted(run.execution.selectors.items())),
        ),
        owner=run.owner,
        op=run.op_definition,
        priority=run.priority,
        preemptible=run.execution.preemptible,
    )


def present_fleet(workers: Iterable[WorkerView]) -> Fleet:
    """Return the workers that the server hears of."""
    boxes = (
        Box(
            name=worker.name,
            cpu=worker.capacity.cpu,
            ram_mb=worker.capacity.ram_mb,
            gpus=tuple(gpu.vram_mb for gpu in worker.capacity.gpus),
            tags=worker.tags,
        )
        for worker in workers
        if worker.state != "LOST"
    )
    return Fleet("present", tuple(boxes))


def write_recording(path: Path, load: Load, fleet: Fleet | None) -> None:
    """Write a load and the fleet of then, one JSON object a line.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("w", encoding="utf-8") as file:
        for document in _lines(load, fleet):
            file.write(json.dumps(document, ensure_ascii=False) + "\n")


def _lines(load: Load, fleet: Fleet | None) -> Iterator[dict[str, Any]]:
    if fleet is not None and fleet.boxes:
        yield {"workers": [_box_document(box) for box in fleet.boxes]}
    for run in load.runs:
        yield _run_document(run)


def _box_document(box: Box) -> dict[str, Any]:
    document: dict[str, Any] = {"name": box.name, "count": box.count, "cpu": box.cpu}
    return document | {"ram_mb": box.ram_mb, "gpus": list(box.gpus), "tags": dict(box.tags)}


def _run_document(run: LoadRun) -> dict[str, Any]:
    return {
        "submitted_s": round(run.submitted_s, 6),
        "duration_s": round(run.duration_s, 6),
        "cpu": run.shape.cpu or None,
        "ram_mb": run.shape.ram_mb or None,
        "vram_mb": run.shape.vram_mb,
        "selectors": dict(run.shape.selectors),
        "owner": run.owner,
        "op": run.op,
        "priority": run.priority,
        "preemptible": run.preemptible,
    }

"""Turning a plan's reasons into what people and programs read; decides nothing itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gyoza.server.scheduling.feasibility import could_ever
from gyoza.server.scheduling.planner import Refusals, Verdict
from gyoza.server.scheduling.snapshot import Shape, WorkerSnapshot

_CHECK_WORDS = {
    "state": "not ready",
    "tags": "without the tags it needs",
    "cpu": "without enough free CPU",
    "ram": "without enough free RAM",
    "vram": "without enough free VRAM",
    "kept": "kept for a run that comes first",
}


def needs_text(shape: Shape) -> str:
    """Return what a run needs, in words: "1 CPU, 512 MB RAM"."""
    parts = [f"{shape.cpu} CPU", f"{shape.ram_mb} MB RAM"]
    if shape.vram_mb:
        parts.append(f"{shape.vram_mb} MB VRAM on one GPU")
    parts += [f"tag {name}={value}" for name, value in shape.selectors]
    return ", ".join(parts)


def needs_document(shape: Shape) -> dict[str, Any]:
    """Return what a run needs, as JSON."""
    return {
        "cpu": shape.cpu,
        "ram_mb": shape.ram_mb,
        "vram_mb": shape.vram_mb,
        "selectors": dict(shape.selectors),
    }


def summary(refusals: Refusals) -> str:
    """Return one sentence on why nobody takes the run."""
    by_worker = refusals.by_worker
    if not by_worker:
        return "no worker is registered; start one with `gyoza worker start`"
    needs = needs_text(refusals.shape)
    if refusals.verdict is Verdict.NEVER:
        return f"no registered worker could ever take it: it needs {needs}"
    firsts = Counter(reasons[0].check for reasons in by_worker.values())
    parts = [f"{count} {_CHECK_WORDS[check]}" for check, count in sorted(firsts.items())]
    return f"no worker has room now ({', '.join(parts)}): it needs {needs}"


def worker_documents(
    refusals: Refusals, workers: tuple[WorkerSnapshot, ...]
) -> list[dict[str, Any]]:
    """Return per worker, by name, why it does not take the run and whether it ever could."""
    by_worker = refusals.by_worker
    ordered = sorted(workers, key=lambda worker: (worker.name, worker.worker_id))
    return [
        {
            "worker_id": worker.worker_id,
            "name": worker.name,
            "fits": not by_worker[worker.worker_id],
            "ever": could_ever(refusals.shape, worker),
            "reasons": [reason.text for reason in by_worker[worker.worker_id]],
        }
        for worker in ordered
    ]

"""Turning a plan's reasons into what people and programs read; decides nothing itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from gyoza.models.timestamps import format_time
from gyoza.server.scheduling.feasibility import could_ever
from gyoza.server.scheduling.forecast import Forecast
from gyoza.server.scheduling.planner import Plan, Refusals, Verdict
from gyoza.server.scheduling.position import Position
from gyoza.server.scheduling.selectors import selector
from gyoza.server.scheduling.snapshot import Holding, PendingRun, Shape, WorkerSnapshot
from gyoza.server.scheduling.trials import Changes

NO_WORKER = "no worker is registered; start one with `gyoza worker start`"
_SHOWN_HOLDINGS = 5
_CHECK_WORDS = {
    "state": "not ready",
    "tags": "without the tags it needs",
    "cpu": "without enough free CPU",
    "ram": "without enough free RAM",
    "gpu": "with its GPU in quarantine",
    "vram": "without enough free VRAM",
    "kept": "kept for a run that comes first",
}


def needs_text(shape: Shape) -> str:
    """Return what a run needs, in words: "1 CPU, 512 MB RAM"."""
    parts = [f"{shape.cpu} CPU", f"{shape.ram_mb} MB RAM"]
    if shape.vram_mb:
        parts.append(f"{shape.vram_mb} MB VRAM on one GPU")
    parts += [selector(wanted).text(name) for name, wanted in shape.selectors]
    return ", ".join(parts)


def needs_document(shape: Shape) -> dict[str, Any]:
    """Return what a run needs, as JSON and in words (`text`)."""
    return {
        "text": needs_text(shape),
        "cpu": shape.cpu,
        "ram_mb": shape.ram_mb,
        "vram_mb": shape.vram_mb,
        "selectors": dict(shape.selectors),
    }


def summary(refusals: Refusals, workers: Sequence[WorkerSnapshot]) -> str:
    """Return one sentence on why nobody takes the run."""
    if not workers:
        return NO_WORKER
    if refusals.verdict is Verdict.NEVER:
        return f"no worker could ever take it: {_lacks(refusals.shape, workers)}"
    firsts = sorted(Counter(refusals.first_checks).items())
    parts = [f"{count} {_CHECK_WORDS.get(check, check)}" for check, count in firsts]
    needs = needs_text(refusals.shape)
    return f"no worker has room now ({', '.join(parts)}): it needs {needs}"


def _lacks(shape: Shape, workers: Sequence[WorkerSnapshot]) -> str:
    """What no worker has at all; where each has a part, all of it."""
    cpu = max(worker.cpu for worker in workers)
    ram_mb = max(worker.ram_mb for worker in workers)
    vram_mb = max((gpu.vram_mb for worker in workers for gpu in worker.gpus), default=0)
    found = [
        f"needs {needed} {unit}, the most is {most}"
        for needed, most, unit in (
            (shape.cpu, cpu, "CPU"),
            (shape.ram_mb, ram_mb, "MB RAM"),
            (shape.vram_mb, vram_mb, "MB VRAM on one GPU"),
        )
        if needed > most
    ]
    found += [
        f"needs {selector(wanted).text(name)}, which none has"
        for name, wanted in shape.selectors
        if not any(selector(wanted).matches(worker.tags.get(name)) for worker in workers)
    ]
    return "; ".join(found) or f"none has all of {needs_text(shape)}"


def worker_documents(
    refusals: Refusals, workers: tuple[WorkerSnapshot, ...], *, kept_for_it: bool = False
) -> list[dict[str, Any]]:
    """Return per worker, by name, why it does not take the run and whether it ever could.

    Args:
        refusals: What they say.
        workers: All of them.
        kept_for_it: Whether the worker that is kept is kept for this very run.
    """
    by_worker = {
        worker_id: [reason for reason in reasons if not (kept_for_it and reason.check == "kept")]
        for worker_id, reasons in refusals.by_worker.items()
    }
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


def position_document(position: Position) -> dict[str, Any]:
    """Return where the run stands."""
    first = [
        {"run_id": run.run_id, "op": run.op, "owner": run.owner, "priority": run.priority}
        for run in position.first
    ]
    return {"ahead": position.ahead, "exact": position.exact, "first": first}


def in_its_place(shape: Shape, workers: Iterable[WorkerSnapshot]) -> list[dict[str, Any]]:
    """Return who has what the run could use: attempts on workers that could take it when empty."""
    found = [
        (holding, worker)
        for worker in workers
        if worker.state == "READY" and could_ever(shape, worker)
        for holding in worker.holdings
    ]
    found.sort(key=lambda each: (_end(each[0]), each[0].since, each[0].run_id))
    return [_holding_document(*each) for each in found[:_SHOWN_HOLDINGS]]


def kept_document(made: Plan, workers: Iterable[WorkerSnapshot]) -> dict[str, Any] | None:
    """Return which worker a plan keeps, for whom, and who gives way; None when it keeps none."""
    promise = made.promise
    if promise is None:
        return None
    names = {worker.worker_id: worker.name for worker in workers}
    return {
        "worker_id": promise.worker_id,
        "name": names.get(promise.worker_id, promise.worker_id),
        "run_id": promise.run.run_id,
        "giving_way": [each.run_id for each in made.evictions],
    }


def start_document(forecast: Forecast) -> dict[str, Any]:
    """Return when the run is expected to start, and what that rests on."""
    if forecast.at is None:
        return {"at": None, "basis": forecast.why}
    parts: list[str] = []
    if len(forecast.after) > 0:
        more = f" and {len(forecast.after) - 1} more" if len(forecast.after) > 1 else ""
        parts.append(f"once {forecast.after[0]}{more} ended")
    if forecast.started:
        one = forecast.started == 1
        parts.append(f"{forecast.started} waiting run{' starts' if one else 's start'} before it")
    parts.append("by how long runs like these took")
    return {"at": format_time(forecast.at), "basis": "; ".join(parts)}


def changes_documents(changes: Changes) -> list[dict[str, Any]]:
    """Return what would let the run start now."""
    return [change._asdict() for change in changes.found]


def turn_text(run: PendingRun, position: Position) -> str:
    """Return the sentence on a run that only waits for its turn."""
    if not position.ahead:
        return "there is room for it; it is about to be assigned"
    many = f"{position.ahead}" if position.exact else f"more than {position.ahead}"
    return f"waits for its turn at priority {run.priority}; {many} before it"


def _end(holding: Holding) -> tuple[bool, datetime]:
    return holding.ends_at is None, holding.ends_at or holding.since


def _holding_document(holding: Holding, worker: WorkerSnapshot) -> dict[str, Any]:
    return {
        "run_id": holding.run_id,
        "op": holding.op,
        "owner": holding.owner,
        "priority": holding.priority,
        "worker_id": worker.worker_id,
        "worker": worker.name,
        "since": format_time(holding.since),
        "ends_at": None if holding.ends_at is None else format_time(holding.ends_at),
    }

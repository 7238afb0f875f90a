"""Why a run is where it is, in one document; for a waiting run, the planner's own reasons."""

from __future__ import annotations

from dataclasses import replace

from gyoza.models import OpRun, OpRunState
from gyoza.models.timestamps import format_time
from gyoza.server.scheduling import explain
from gyoza.server.scheduling.planner import plan
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.dispatch import read_snapshot, shape_of
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import JsonObject


def explanation_of(uow: UnitOfWork, run: OpRun, outside: Outside) -> JsonObject:
    """Explain a run; for a waiting one by planning what waits now, exactly as the dispatcher does.

    Planning anew costs one plan and needs no memory of the last one, which could be of another
    server or from before the last change.
    """
    if run.state is not OpRunState.PENDING:
        return _document(run, _elsewhere(run))
    if run.due_at is not None and run.due_at > uow.now():
        return {**_document(run, f"waits for {format_time(run.due_at)}"), **_needs(run, outside)}
    return _waiting(uow, run, outside)


def _waiting(uow: UnitOfWork, run: OpRun, outside: Outside) -> JsonObject:
    snapshot = _with(read_snapshot(uow, outside.settings), run, outside)
    made = plan(snapshot)
    for each in made.unplaced:
        if each.run.run_id == run.id:
            return {
                **_document(run, explain.summary(each.refusals)),
                **_needs(run, outside),
                "verdict": each.refusals.verdict.value,
                "workers": explain.worker_documents(each.refusals, snapshot.workers),
            }
    place = next(each for each in made.placements if each.run.run_id == run.id)
    summary = f"is about to be assigned to worker {place.worker_id}"
    return {**_document(run, summary), **_needs(run, outside), "verdict": "NOW"}


def _with(snapshot: Snapshot, run: OpRun, outside: Outside) -> Snapshot:
    """The snapshot with the run in it, though it stands far behind in its lane."""
    if any(each.run_id == run.id for each in snapshot.runs):
        return snapshot
    shape = _shape(run, outside)
    image = run.image_digest or run.image
    this = PendingRun(
        run.id, run.priority, run.created_at, shape, run.owner, run.op_definition, image
    )
    return replace(snapshot, runs=(*snapshot.runs, this))


def _elsewhere(run: OpRun) -> str:
    if run.is_terminal:
        reason = f" ({run.reason})" if run.reason else ""
        return f"is over: {run.state.value}{reason}"
    phase = f", {run.phase}" if run.phase else ""
    return f"is {run.state.value} on worker {run.worker_id}{phase}"


def _document(run: OpRun, summary: str) -> JsonObject:
    return {"run_id": run.id, "state": run.state.value, "summary": summary}


def _needs(run: OpRun, outside: Outside) -> JsonObject:
    return {"needs": explain.needs_document(_shape(run, outside))}


def _shape(run: OpRun, outside: Outside) -> Shape:
    named, selectors = run.current_attempt.constraints, run.execution.selectors
    return shape_of(named.cpu, named.ram_mb, named.vram_mb, selectors, outside.settings)

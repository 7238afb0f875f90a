"""Why a run is where it is, in one document.

For a waiting run: the planner's own reasons, where it stands, when it may start, and which single
change would let it start now; for every run the chain of its attempts. What is said rests on a plan
made for the question, exactly as the dispatcher makes one: that needs no memory of the last plan,
which could be of another server or from before the last change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from gyoza.models import OpRun, OpRunState
from gyoza.server.scheduling import explain
from gyoza.server.scheduling.forecast import Forecast, forecast
from gyoza.server.scheduling.planner import Plan, Refusals, Verdict, plan
from gyoza.server.scheduling.position import Position, position_of
from gyoza.server.scheduling.rooms import Room
from gyoza.server.scheduling.snapshot import PendingRun, Shape, Snapshot
from gyoza.server.scheduling.trials import Changes, changes_for, ends_for
from gyoza.server.storage.records import source_of
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempt_history import attempt_documents
from gyoza.server.use_cases.dispatch import read_snapshot
from gyoza.server.use_cases.durations import most_seconds, usual_seconds
from gyoza.server.use_cases.holds import Hold
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.waiting import Waiting, shape_of_run, verdict_of
from gyoza.wire.messages import JsonObject

# How much of the queue one explanation looks at: of each lane, and in all.
_DEPTH: Final = 200
_WINDOW: Final = 2_000
# Of its own lane more is counted than is read.
_MOST_COUNTED: Final = 100_000
# Limits that end with attempts, as a lack of room does: the planner itself knows them.
_BY_ROOM: Final = ("op_limit", "owner_limit")
_UNTIL: Final = {
    "paused": "once its op is resumed",
    "after": "once the runs that it comes after have ended",
}


_Kind: TypeAlias = tuple[int, str | None, str | None, Shape, str]


@dataclass(frozen=True, slots=True)
class _Look:
    """What an explanation rests on.

    Attributes:
        this: The run as the planner sees it.
        snapshot: What waits and what is at work, the run among it.
        cut: Runs behind which more of their kind wait that were not read.
        plan: What the planner makes of it.
        hold: What keeps the run from being considered; None when nothing does.
        due_at: When the run is due; None is at once.
        in_lane: How many of its lane stand before it.
        is_next: Whether its concurrency key is its own once one that has it ends.
    """

    this: PendingRun
    snapshot: Snapshot
    cut: frozenset[str]
    plan: Plan
    hold: Hold | None
    due_at: datetime | None
    in_lane: int
    is_next: bool


def explanation_of(uow: UnitOfWork, run: OpRun, outside: Outside) -> JsonObject:
    """Explain a run, which was read with its events.

    Returns:
        `run_id`, `state`, `summary` (a sentence), `attempts` (the chain), and for a waiting run
        what docs/how-to/why-does-it-wait.md describes.
    """
    document: JsonObject = {"run_id": run.id, "state": run.state.value}
    if run.state is OpRunState.PENDING:
        document |= _waiting(_look(uow, run, outside))
    else:
        document["summary"] = _elsewhere(run)
    return {**document, "attempts": attempt_documents(run)}


def _look(uow: UnitOfWork, run: OpRun, outside: Outside) -> _Look:
    settings = outside.settings.model_copy(update={"plan_window": _WINDOW})
    snapshot = read_snapshot(uow, settings, depth=_DEPTH, barring=False)
    this = _pending(uow, run, outside)
    cut = _cut(snapshot)
    others = (each for each in snapshot.runs if each.run_id != run.id)
    snapshot = replace(snapshot, runs=(*others, this))
    made = plan(snapshot)
    holds = Waiting(uow, outside).holds
    hold = holds.on(run, uow.runs.comes_after(run.id)) or _ruled(made, run.id)
    in_lane = uow.runs.ahead_in_lane(run, _MOST_COUNTED)
    return _Look(this, snapshot, cut, made, hold, run.due_at, in_lane, _is_next(uow, run, hold))


def _is_next(uow: UnitOfWork, run: OpRun, hold: Hold | None) -> bool:
    asked = run.execution.concurrency
    if hold is None or hold.name != "key" or asked is None:
        return False
    line = uow.concurrency.line_of(asked["key"])
    busy = len(hold.run_ids) + line.let_in
    return line.first == run.id and busy - 1 < asked["limit"]


def _ruled(made: Plan, run_id: str) -> Hold | None:
    """The limit that the plan itself exhausts before the run's turn."""
    rules = (each.rule for each in made.unplaced if each.run.run_id == run_id)
    rule = next(rules, None)
    return None if rule is None else Hold(rule.name, rule.text)


def _pending(uow: UnitOfWork, run: OpRun, outside: Outside) -> PendingRun:
    image = run.image_digest or run.image
    source = source_of(run.op_definition, run.op_version, image)
    learned = uow.run_times.find_many([source]).get(source)
    return PendingRun(
        run.id,
        run.priority,
        run.created_at,
        shape_of_run(run, outside.settings),
        run.owner,
        run.op_definition,
        image,
        most_seconds(learned),
        usual_seconds(learned),
    )


def _cut(snapshot: Snapshot) -> frozenset[str]:
    """The youngest run of each kind of which as many were read as may be."""
    kinds: dict[_Kind, list[PendingRun]] = {}
    for run in snapshot.runs:
        kinds.setdefault(_kind(run), []).append(run)
    full = len(snapshot.runs) >= _WINDOW
    return frozenset(
        max(kind, key=lambda run: (run.created_at, run.run_id)).run_id
        for kind in kinds.values()
        if full or len(kind) >= _DEPTH
    )


def _kind(run: PendingRun) -> _Kind:
    return run.priority, run.owner, run.op, run.shape, run.image


def _waiting(look: _Look) -> JsonObject:
    this, workers = look.this, look.snapshot.workers
    refusals = Refusals(this.shape, tuple(Room(worker) for worker in workers))
    rule = look.hold
    for each in look.plan.unplaced:
        if each.run.run_id == this.run_id:
            refusals = each.refusals
    placed = any(each.run.run_id == this.run_id for each in look.plan.placements)
    verdict = "NOW" if placed and rule is None else verdict_of(refusals, workers).value
    never = verdict == Verdict.NEVER
    position = None if rule is not None or never else _position(look)
    document: JsonObject = {
        "verdict": verdict,
        "summary": _summary(look, refusals, position, verdict),
        "needs": explain.needs_document(this.shape),
        "workers": explain.worker_documents(refusals, workers, kept_for_it=_has_promise(look)),
        "start": explain.start_document(_start(look, verdict)),
    }
    if rule is not None:
        document["rule"] = {"name": rule.name, "text": rule.text, "run_ids": list(rule.run_ids)}
    if position is not None:
        document["position"] = explain.position_document(position)
    if verdict == Verdict.LATER:
        document["in_its_place"] = explain.in_its_place(this.shape, workers)
    kept = explain.kept_document(look.plan, workers)
    if kept is not None:
        document["kept"] = kept
    changes = Changes((), all_tried=True) if verdict == "NOW" else _changes(look)
    document["changes"] = explain.changes_documents(changes)
    document["all_changes_tried"] = changes.all_tried
    return document


def _has_promise(look: _Look) -> bool:
    promise = look.plan.promise
    return promise is not None and promise.run.run_id == look.this.run_id


def _summary(look: _Look, refusals: Refusals, position: Position | None, verdict: str) -> str:
    if look.hold is not None and verdict != Verdict.NEVER:
        return look.hold.text
    if verdict == "NOW" and position is not None:
        return explain.turn_text(look.this, position)
    return explain.summary(refusals, look.snapshot.workers)


def _position(look: _Look) -> Position:
    held = {each.run.run_id for each in look.plan.unplaced if each.rule is not None}
    runs = tuple(run for run in look.snapshot.runs if run.run_id not in held)
    found = position_of(look.this.run_id, replace(look.snapshot, runs=runs), look.cut)
    if found.exact or look.in_lane < found.ahead:
        return found
    # Who is alone in the queue with runs of one kind has all of them counted.
    alone = {run.run_id for run in runs if run.run_id != look.this.run_id} <= _alike(look)
    return found._replace(ahead=look.in_lane, exact=alone and look.in_lane < _MOST_COUNTED)


def _alike(look: _Look) -> set[str]:
    return {run.run_id for run in look.snapshot.runs if _kind(run) == _kind(look.this)}


def _start(look: _Look, verdict: str) -> Forecast:
    hold = look.hold
    if verdict == Verdict.NEVER:
        return Forecast(None, why="never, as the workers are")
    if hold is None or hold.name in _BY_ROOM:
        return forecast(look.this.run_id, look.snapshot)
    if look.due_at is not None and hold.name in ("delayed", "backoff"):
        found = forecast(look.this.run_id, look.snapshot)
        at = None if found.at is None else max(found.at, look.due_at)
        return found._replace(at=at)
    if hold.name == "key":
        return _once_free(look, hold)
    return Forecast(None, why=_UNTIL[hold.name])


def _once_free(look: _Look, hold: Hold) -> Forecast:
    """The start of a run whose key is full: when the first that has it is expected to end."""
    ends = [
        (each.ends_at, each.run_id)
        for worker in look.snapshot.workers
        for each in worker.holdings
        if each.run_id in hold.run_ids and each.ends_at is not None
    ]
    if not ends:
        return Forecast(None, why="too few runs have completed to know when its key becomes free")
    at, run_id = min(ends)
    return Forecast(at, after=(run_id,))


def _changes(look: _Look) -> Changes:
    hold = look.hold
    if hold is None or hold.name == "paused" or hold.name in _BY_ROOM:
        return changes_for(look.this, look.snapshot, cut=look.cut)
    if hold.name == "key" and look.is_next:
        return ends_for(look.this, look.snapshot, hold.run_ids, cut=look.cut)
    return Changes((), all_tried=True)


def _elsewhere(run: OpRun) -> str:
    if run.is_terminal:
        reason = f" ({run.reason})" if run.reason else ""
        return f"is over: {run.state.value}{reason}"
    phase = f", {run.phase}" if run.phase else ""
    return f"is {run.state.value} on worker {run.worker_id}{phase}"

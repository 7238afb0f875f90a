"""What the server does about runs that nobody reports on: deadlines, lost and unclaimed attempts.

Called by the rescuer, a bounded number at a time. Each looks again in its own transaction, so that
any number of rescuers may run. When silence may count as loss is decided in `patience`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gyoza.models import OpRun, OpRunState
from gyoza.server.storage.records import Overdue
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import (
    QUEUE_TIMEOUT,
    TOTAL_TIMEOUT,
    give_back,
    let_go,
    lose_attempt,
    stop_run,
)
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.patience import is_tick_due, may_expire

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Troubles:
    """What there is to rescue.

    Attributes:
        tick: The control plane's pulse is to be noted.
        overdue: Some run is past its queue or total timeout.
        unacknowledged: Some assignment was not claimed in time.
        expired: Some lease is over.
    """

    tick: bool
    overdue: bool
    unacknowledged: bool
    expired: bool


def look_for_troubles(uow: UnitOfWork, outside: Outside) -> Troubles:
    """Look without writing: nearly always there is nothing, and the one writer has other work."""
    now = uow.now()
    claimed_by = now - timedelta(seconds=outside.settings.acknowledge_within_s)
    return Troubles(
        tick=is_tick_due(uow, outside.settings),
        overdue=bool(uow.runs.overdue(now, 1)),
        unacknowledged=bool(uow.assignments.unacknowledged(claimed_by, 1)),
        expired=bool(uow.assignments.expired(now, 1)),
    )


def end_overdue(uow: UnitOfWork) -> int:
    """End, or ask to stop, what is past its queue or total timeout; returns how many."""
    overdue = {each.run_id: each for each in uow.runs.overdue(uow.now(), BATCH)}
    ended = 0
    for run in uow.runs.get_many(overdue):
        ended += _end_one(uow, run, overdue[run.id])
    return ended


def release_unacknowledged(uow: UnitOfWork, outside: Outside) -> int:
    """Give back assignments that their worker did not claim in time; returns how many."""
    within_s = outside.settings.acknowledge_within_s
    found = uow.assignments.unacknowledged(uow.now() - timedelta(seconds=within_s), BATCH)
    fences = {each.run_id: each.fence for each in found}
    released = 0
    for run in uow.runs.get_many(fences):
        if run.state is OpRunState.ASSIGNED and run.fence == fences[run.id]:
            give_back(uow, run, f"worker {run.worker_id} did not claim it in {within_s:g} s")
            released += 1
    return released


def expire_leases(uow: UnitOfWork, outside: Outside) -> int:
    """Close the attempts of workers that are gone, uncharged; returns how many.

    None while there is reason to doubt that they are gone. What they reserved stays reserved: a
    worker that comes back may still run their containers, and frees them by saying what it holds.
    """
    found = uow.assignments.expired(uow.now(), BATCH)
    if not found or not may_expire(uow, outside):
        return 0
    held = {each.run_id: each for each in found}
    lost = 0
    for run in uow.runs.get_many(held):
        attempt = held[run.id]
        if run.fence != attempt.fence or run.is_terminal:
            continue
        silence = f"worker {attempt.worker_id} was not heard of for {outside.settings.lease_s:g} s"
        lose_attempt(uow, run, silence, outside)
        let_go(uow, run.id, attempt.fence, free=attempt.claimed_at is None)
        outside.tally.note(
            "lease expired", run=run.id, fence=attempt.fence, worker=attempt.worker_id
        )
        lost += 1
    return lost


def _end_one(uow: UnitOfWork, run: OpRun, overdue: Overdue) -> bool:
    if overdue.kind == "QUEUE":
        message = f"no worker took it within {run.timeouts.queue_s:g} s"
        return stop_run(uow, run, QUEUE_TIMEOUT, message)
    message = f"it was not over within {run.timeouts.total_s:g} s of its submission"
    return stop_run(uow, run, TOTAL_TIMEOUT, message)

"""Stopping attempts for a much more urgent run, as a plan has it and as far as it still holds.

Its victims for one run are asked to stop together or not at all: one that has ended meanwhile has
made room, and the next plan may need no other. Who is asked ends as usual (its worker gives it its
grace) and waits again; see `attempts.end_as_asked`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyoza.models import OpRun, OpRunState
from gyoza.server.scheduling.preemption import Eviction
from gyoza.server.storage.preemptions import PREEMPTED, may_give_way
from gyoza.server.storage.records import CancelIntent, HeldAttempt
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import ask_to_stop, give_back


def apply_evictions(uow: UnitOfWork, evictions: Sequence[Eviction]) -> list[str]:
    """Ask to stop what still may be; what nobody has begun is given back at once.

    Args:
        uow: The unit of work.
        evictions: Of one plan.

    Returns:
        The ids of the runs that give way.
    """
    wanted = {each.run_id for each in evictions} | {each.for_run_id for each in evictions}
    runs = {run.id: run for run in uow.runs.get_many(wanted)}
    given: list[str] = []
    for for_run_id in dict.fromkeys(each.for_run_id for each in evictions):
        urgent = runs.get(for_run_id)
        if urgent is None or urgent.state is not OpRunState.PENDING:
            continue
        together = [each for each in evictions if each.for_run_id == for_run_id]
        found = [_victim(uow, each, runs.get(each.run_id)) for each in together]
        victims = [each for each in found if each is not None]
        if len(victims) == len(together):
            for run, held in victims:
                _displace(uow, run, held, urgent)
                given.append(run.id)
    return given


def _victim(
    uow: UnitOfWork, eviction: Eviction, run: OpRun | None
) -> tuple[OpRun, HeldAttempt] | None:
    """The attempt, if it is still as the plan saw it and nobody asked it to stop already."""
    held = None if run is None else uow.assignments.find(eviction.run_id, eviction.fence)
    if run is None or held is None or held.worker_id != eviction.worker_id:
        return None
    # One whose lease is over may be lost, which is for the rescuer to find.
    if held.cancel is not None or held.lease_expires_at <= uow.now() or not may_give_way(run):
        return None
    return run, held


def _displace(uow: UnitOfWork, run: OpRun, held: HeldAttempt, urgent: OpRun) -> None:
    message = (
        f"made way for {urgent.id}, whose priority is {urgent.priority}; its own is {run.priority}"
    )
    if held.claimed_at is None:
        give_back(uow, run, message)
    else:
        ask_to_stop(uow, run, held, CancelIntent(PREEMPTED, message, uow.now()))

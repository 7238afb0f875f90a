"""Settling with a worker that has started: what of its containers goes on, and what it has lost.

The worker names every container of gyoza's on its machine; the server knows which attempts it
holds. An attempt goes on only where both agree on run, attempt and fence. Everything else is closed
here or stopped there. Why: docs/decisions/0012-a-restarted-worker-keeps-its-containers.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from gyoza.models import EventType, OpRun, OpRunState
from gyoza.server.storage.records import HeldAttempt, Reservation
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.assignments import assignments_of
from gyoza.server.use_cases.attempts import give_back, let_go, lose_attempt
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import Assignment, ContainerReport, Register, Verdict

Key: TypeAlias = tuple[str, int]
"""Run id and fence: what names an attempt in somebody's hands."""

_REBOOTED: Final = "the machine was started again, which ended every container"


def settle(
    uow: UnitOfWork, command: Register, outside: Outside, *, is_new: bool, rebooted: bool
) -> list[Verdict]:
    """Answer for each container, and close what the worker holds without one.

    Args:
        uow: The unit of work; the worker is stored as it registers now.
        command: With everything found on the machine.
        outside: Settings and jitter.
        is_new: The process is another than before: what it does not name is gone. The same process
            registering again names no containers and still has them.
        rebooted: The machine was started again since the last registration.

    Returns:
        One verdict per container, in their order.
    """
    worker_id = command.worker_id
    held = {} if rebooted else {_key(each): each for each in uow.assignments.held_by(worker_id)}
    kept = {_of(each) for each in command.containers if _agrees(each, held)}
    if is_new:
        why = _REBOOTED if rebooted else f"worker {worker_id} was started again without it"
        _close_what_is_gone(uow, command, kept, why, outside)
        _free_what_is_gone(uow, command, kept, rebooted=rebooted)
    taken = _take_over(uow, command, kept, outside)
    if is_new:
        for run_id, fence in taken:
            outside.tally.note("container adopted", run=run_id, fence=fence, worker=worker_id)
    unwanted = _Unwanted(uow, command, outside, is_new=is_new, rebooted=rebooted)
    return [
        _go_on(each, *taken[_of(each)]) if _agrees(each, held) else unwanted.verdict(each)
        for each in command.containers
    ]


class _Unwanted:
    """Judges containers that do not go on: stopped, or left alone when nobody here knows them."""

    def __init__(
        self, uow: UnitOfWork, command: Register, outside: Outside, *, is_new: bool, rebooted: bool
    ) -> None:
        run_ids = {each.run_id for each in command.containers}
        self._runs = {run.id: run for run in uow.runs.get_many(run_ids)}
        strangers = {
            each.name: _room_of(each, command.worker_id)
            for each in command.containers
            if self._is_unknown(each)
        }
        since = uow.workers.in_limbo(command.worker_id, strangers, forget_others=is_new)
        self._unknown_for = {name: uow.now() - moment for name, moment in since.items()}
        self._patience = timedelta(seconds=outside.settings.limbo_s)
        self._rebooted = rebooted

    def verdict(self, container: ContainerReport) -> Verdict:
        """Say STOP or LIMBO, and why."""
        unknown_for = self._unknown_for.get(container.name)
        if unknown_for is None:
            run = self._runs[container.run_id]
            why = _REBOOTED if self._rebooted else _why_not(container, run)
            return Verdict(name=container.name, verdict="STOP", why=why)
        if unknown_for < self._patience:
            why = "this server does not know it; it may have been restored from a backup"
            return Verdict(name=container.name, verdict="LIMBO", why=why)
        why = f"this server has not known it for {self._patience.total_seconds():g} s"
        return Verdict(name=container.name, verdict="STOP", why=why)

    def _is_unknown(self, container: ContainerReport) -> bool:
        """Whether the database has never heard of it, or has forgotten the fence it gave out."""
        run = self._runs.get(container.run_id)
        return run is None or container.fence > run.fence


def _key(held: HeldAttempt) -> Key:
    return held.run_id, held.fence


def _of(container: ContainerReport) -> Key:
    return container.run_id, container.fence


def _agrees(container: ContainerReport, held: Mapping[Key, HeldAttempt]) -> bool:
    found = held.get(_of(container))
    return found is not None and found.attempt == container.attempt


def _close_what_is_gone(
    uow: UnitOfWork, command: Register, kept: set[Key], why: str, outside: Outside
) -> None:
    """Close what the process before had claimed; what it had not claimed waits for this one.

    Only what surely never started is given back as the same attempt: a container that was made and
    is gone may have run, though nobody was told.
    """
    made = {(each.run_id, each.fence) for each in command.made}
    begun = {(each.run_id, each.fence) for each in command.begun}
    held = {
        each.run_id: each
        for each in uow.assignments.held_by(command.worker_id)
        if each.claimed_at is not None and _key(each) not in kept
    }
    for run in uow.runs.get_many(held):
        fence = held[run.id].fence
        goes_round = (run.id, fence) in begun and _was_given_back_often(uow, run, outside)
        may_have_run = run.state is not OpRunState.ASSIGNED or (run.id, fence) in made
        if not may_have_run and not goes_round:
            give_back(uow, run, why)
        else:
            lose_attempt(uow, run, why, outside)
            let_go(uow, run.id, fence, free=False)


def _was_given_back_often(uow: UnitOfWork, run: OpRun, outside: Outside) -> bool:
    """Whether an attempt that ends its worker before it starts would go round for ever."""
    given_back = uow.runs.count_events(run.id, run.current_attempt.attempt, EventType.RELEASED)
    return given_back >= outside.settings.machinery_attempts


def _free_what_is_gone(
    uow: UnitOfWork, command: Register, kept: set[Key], *, rebooted: bool
) -> None:
    """Free what is reserved for containers that do not exist any more.

    One that is to be stopped exists until a heartbeat does not name it.
    """
    unclaimed = {_key(each) for each in uow.assignments.unclaimed_for(command.worker_id)}
    there = {_of(each) for each in command.containers if not rebooted}
    stay = unclaimed | there | kept
    reserved = uow.assignments.reserved_on(command.worker_id)
    free_room(uow, [each for each in reserved if (each.run_id, each.fence) not in stay])


def free_room(uow: UnitOfWork, reserved: Sequence[Reservation]) -> None:
    """Give back what containers took that are gone, whether or not their runs are known here."""
    if reserved:
        uow.assignments.free_all(reserved)
        uow.assignments.free_unknown([(each.run_id, each.fence) for each in reserved])


def _room_of(container: ContainerReport, worker_id: str) -> Reservation:
    return Reservation(
        container.run_id,
        container.fence,
        worker_id,
        container.cpu,
        container.ram_mb,
        container.vram_mb,
        container.gpu_uuid,
    )


def _take_over(
    uow: UnitOfWork, command: Register, kept: set[Key], outside: Outside
) -> dict[Key, tuple[HeldAttempt, Assignment]]:
    """Renew the leases of what goes on, and say all that the new process needs for it."""
    if not kept:
        return {}
    uow.assignments.renew(command.worker_id, sorted(kept), outside.settings.lease_s)
    unclaimed = {_key(each) for each in uow.assignments.unclaimed_for(command.worker_id)}
    # A database restored from a backup may have forgotten that it was claimed.
    uow.assignments.mark_claimed(unclaimed & kept, f"adopted-{command.session_id}", uow.now())
    held = [each for each in uow.assignments.held_by(command.worker_id) if _key(each) in kept]
    told = assignments_of(uow, command.worker_id, held)
    return {_key(each): (each, said) for each, said in zip(held, told, strict=True)}


def _go_on(container: ContainerReport, held: HeldAttempt, assignment: Assignment) -> Verdict:
    runs = container.state == "running"
    return Verdict(
        name=container.name,
        verdict="ADOPT" if runs else "FINISH",
        why="it goes on" if runs else f"it is {container.state} and its result is still awaited",
        assignment=assignment,
        next_event_seq=held.last_event_seq + 1,
        next_log_seq=held.last_log_seq + 1,
    )


def _why_not(container: ContainerReport, run: OpRun) -> str:
    attempt, fence = run.current_attempt.attempt, run.fence
    if run.is_terminal:
        return f"its run is over: {run.state.value}"
    if (attempt, fence) != (container.attempt, container.fence):
        return (
            f"attempt {container.attempt} under fence {container.fence} is over; its run is at "
            f"attempt {attempt} under fence {fence}"
        )
    return f"its run is {run.state.value} and not in this worker's hands"

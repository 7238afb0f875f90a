"""What workers ask of the server, and what people do with workers.

Registering is in `sessions`, reports are in `reports`, leases of the lost in `leases`. Every write
that names an attempt is checked by its token and its fence before it can do anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gyoza.models import OpRunState
from gyoza.server.errors import WorkerBusy, WorkerNotFound
from gyoza.server.storage.records import HeldAttempt, Reservation, WorkerRecord
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import sessions
from gyoza.server.use_cases.assignments import assignments_of, cancel_order
from gyoza.server.use_cases.attempts import STOPPING, give_back, let_go, lose_attempt
from gyoza.server.use_cases.gpu_health import clear, with_missing
from gyoza.server.use_cases.inventory import free_room
from gyoza.server.use_cases.moments import microseconds
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.patience import suspension
from gyoza.server.use_cases.sessions import active_session
from gyoza.server.use_cases.tokens import is_token_of
from gyoza.server.use_cases.worker_states import state_of, worker_view
from gyoza.wire.messages import (
    CancelOrder,
    Claim,
    Claimed,
    Gpu,
    Heartbeat,
    HeartbeatAnswer,
    Held,
    Register,
    Registered,
    Release,
    ReleaseItem,
    ReportAnswer,
    Reported,
    WorkerView,
)

LEAVING: Final = "its process has left its containers to a successor, which has not come yet"


def register_worker(uow: UnitOfWork, command: Register, outside: Outside) -> Registered:
    """Let a worker in, or let a new process of it take over from the one before.

    Raises:
        SessionSuperseded: Another machine has this identity (a copied state folder): the caller
            stops without touching containers.
        InvalidInput: Another protocol, or a capacity that makes no sense.
    """
    return sessions.register(uow, command, outside)


def heartbeat(
    uow: UnitOfWork, worker_id: str, command: Heartbeat, outside: Outside
) -> HeartbeatAnswer:
    """Renew the leases of everything the worker holds, and tell it what to stop.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    before = active_session(uow, worker_id, command.session_id)
    problem = LEAVING if command.leaving else command.problem
    gpus = with_missing(before.capacity.gpus, command.gpus, uow.now()) if command.gpus else []
    uow.workers.touch(worker_id, command.session_id, uow.now(), gpus, problem, command.images)
    lease_s = outside.settings.hand_off_s if command.leaving else outside.settings.lease_s
    named = [(each.run_id, each.fence) for each in command.held]
    renewed = uow.assignments.renew(worker_id, named, lease_s)
    held = uow.assignments.held_by(worker_id)
    _free_what_is_gone(uow, worker_id, held, set(named))
    if _may_take_more(before, command, uow, outside):
        uow.wake("dispatch")
    return HeartbeatAnswer(
        server_time_us=microseconds(uow.now()),
        interval_s=outside.settings.heartbeat_interval_s,
        draining=before.draining,
        cancel=[order for each in held if (order := cancel_order(each)) is not None],
        stop=[
            Held(run_id=run_id, fence=fence)
            for run_id, fence in named
            if (run_id, fence) not in renewed
        ],
    )


def claim(uow: UnitOfWork, worker_id: str, command: Claim, outside: Outside) -> Claimed:
    """Hand over what is assigned to the worker, or what it is to cancel; waiting is the API's.

    The same claim id gets the same answer while the attempts live; a new one gets what was not
    claimed before, and what was but never came: of a request that the network delivered twice,
    nobody may read the copy that got the work.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    active_session(uow, worker_id, command.session_id)
    mine = uow.assignments.held_by(worker_id)
    held = [each for each in mine if each.claim_id == command.claim_id]
    if held:
        outside.tally.count("duplicate claim answered")
    else:
        held = [each for each in mine if each.claimed_at is None or _never_came(each, command)]
        uow.assignments.mark_claimed(held, command.claim_id, uow.now())
    if not held:
        return Claimed(cancel=_news(mine, command.stopping))
    fences = [(each.run_id, each.fence) for each in held]
    uow.assignments.renew(worker_id, fences, outside.settings.lease_s)
    return Claimed(assignments=assignments_of(uow, worker_id, held))


def release(uow: UnitOfWork, worker_id: str, command: Release, outside: Outside) -> Reported:
    """Take back assignments that the worker did not start: ASSIGNED -> PENDING, next fence.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    active_session(uow, worker_id, command.session_id)
    return Reported(items=[_release_one(uow, worker_id, item, outside) for item in command.items])


def drain_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> WorkerView:
    """Give a worker no new work; what it holds goes on.

    Raises:
        WorkerNotFound: No such worker.
    """
    worker = _named(uow, worker_id)
    uow.workers.save(replace(worker, draining=True))
    return get_worker(uow, worker.id, outside)


def resume_worker(
    uow: UnitOfWork, worker_id: str, outside: Outside, *, gpu: str | None = None
) -> WorkerView:
    """Give a drained worker work again, or one of its GPUs.

    Args:
        uow: The unit of work.
        worker_id: Its id or name.
        outside: Settings.
        gpu: UUID of the GPU to take out of quarantine, or to forget if it is missing; the rest of
            the worker stays as it is. None is the worker as a whole.

    Raises:
        WorkerNotFound: No such worker.
        InvalidInput: It has no such GPU.
    """
    worker = _named(uow, worker_id)
    if gpu is not None:
        clear(uow, worker, gpu)
        return get_worker(uow, worker.id, outside)
    uow.workers.save(replace(worker, draining=False))
    uow.wake("dispatch")
    return get_worker(uow, worker.id, outside)


def remove_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> None:
    """Forget a worker that holds nothing, or whose lease is over.

    Raises:
        WorkerNotFound: No such worker.
        WorkerBusy: It holds runs and is not LOST.
    """
    worker = _named(uow, worker_id)
    held = {each.run_id: each for each in uow.assignments.held_by(worker.id)}
    state, _ = state_of(worker, uow.now(), outside.settings)
    if held and state != "LOST":
        raise WorkerBusy(worker.id, sorted(held))
    for run in uow.runs.get_many(held):
        lose_attempt(uow, run, f"worker {worker.id} was removed while it was lost", outside)
        let_go(uow, run.id, held[run.id].fence)
    free_room(uow, uow.assignments.reserved_on(worker.id))
    uow.gpus.forget_worker(worker.id)
    uow.workers.remove(worker.id)


def list_workers(uow: UnitOfWork, outside: Outside) -> list[WorkerView]:
    """Return all workers by name."""
    reserved = uow.assignments.reserved_by_worker()
    views = [
        _view(uow, worker, reserved.get(worker.id, ()), outside) for worker in uow.workers.list()
    ]
    return sorted(views, key=lambda view: (view.name, view.id))


def get_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> WorkerView:
    """Return one worker by id or name.

    Raises:
        WorkerNotFound: No such worker.
    """
    worker = _named(uow, worker_id)
    return _view(uow, worker, uow.assignments.reserved_on(worker.id), outside)


def _named(uow: UnitOfWork, id_or_name: str) -> WorkerRecord:
    worker = uow.workers.find(id_or_name)
    if worker is not None and not worker.removed:
        return worker
    namesakes = [each for each in uow.workers.list() if each.name == id_or_name]
    if len(namesakes) != 1:
        raise WorkerNotFound(id_or_name)
    return namesakes[0]


def _view(
    uow: UnitOfWork, worker: WorkerRecord, reserved: Sequence[Reservation], outside: Outside
) -> WorkerView:
    run_ids = [each.run_id for each in uow.assignments.held_by(worker.id)]
    return worker_view(
        worker, reserved, run_ids, uow.now(), outside.settings, suspension=suspension(uow)
    )


def _free_what_is_gone(
    uow: UnitOfWork, worker_id: str, held: Sequence[HeldAttempt], named: set[tuple[str, int]]
) -> None:
    """Free what lost attempts reserved, once their worker does not name them any more."""
    alive = {(each.run_id, each.fence) for each in held} | named
    reserved = uow.assignments.reserved_on(worker_id)
    free_room(uow, [each for each in reserved if (each.run_id, each.fence) not in alive])


def _may_take_more(
    before: WorkerRecord, command: Heartbeat, uow: UnitOfWork, outside: Outside
) -> bool:
    was, _ = state_of(before, uow.now(), outside.settings)
    came_back = was in {"SILENT", "LOST", "UNHEALTHY"} and not (command.problem or command.leaving)
    known = {gpu.uuid: gpu for gpu in before.capacity.gpus}
    return came_back or any(_has_more(gpu, known.get(gpu.uuid)) for gpu in command.gpus)


def _has_more(gpu: Gpu, before: Gpu | None) -> bool:
    if before is None:
        return True
    is_well_again = before.problem != "" and not gpu.problem
    return is_well_again or gpu.used_mb < before.used_mb


def _never_came(held: HeldAttempt, command: Claim) -> bool:
    """Whether the worker was given it and has not got it; one that spoke of it has."""
    if command.holding is None or held.state is not OpRunState.ASSIGNED:
        return False
    if held.last_event_seq or held.last_log_seq or held.phase not in {None, STOPPING}:
        return False
    return all((each.run_id, each.fence) != (held.run_id, held.fence) for each in command.holding)


def _news(held: Sequence[HeldAttempt], known: Sequence[Held]) -> list[CancelOrder]:
    """The orders to cancel that the worker does not know of; a heartbeat would be later."""
    stopping = {(each.run_id, each.fence) for each in known}
    orders = (cancel_order(each) for each in held)
    return [order for order in orders if order and (order.run_id, order.fence) not in stopping]


def _release_one(
    uow: UnitOfWork, worker_id: str, item: ReleaseItem, outside: Outside
) -> ReportAnswer:
    answer = ReportAnswer(run_id=item.run_id, fence=item.fence, status="OK")
    if not is_token_of(item.token, uow.cluster().secret, item.run_id, item.fence):
        answer.status, answer.detail = "INVALID", "the token is not this attempt's"
        return answer
    held = uow.assignments.find(item.run_id, item.fence)
    if held is None or held.worker_id != worker_id:
        outside.tally.note(
            "stale write refused", run=item.run_id, fence=item.fence, worker=worker_id
        )
        answer.status, answer.detail = "STALE", "the attempt is over or elsewhere"
        return answer
    run = uow.runs.get(item.run_id)
    if run.state is not OpRunState.ASSIGNED:
        answer.status, answer.detail = "INVALID", f"is {run.state.value}; report its result"
        return answer
    give_back(uow, run, item.reason or f"worker {worker_id} gave it back")
    return answer

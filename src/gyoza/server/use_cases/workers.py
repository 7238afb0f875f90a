"""What workers ask of the server, and what people do with workers.

Reports are in `reports`, leases of the lost in `leases`. Every write that names an attempt is
checked by its token and its fence before it can do anything.
"""

from __future__ import annotations

from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAnswer,
    Register,
    Registered,
    Release,
    Reported,
    WorkerView,
)


def register_worker(uow: UnitOfWork, command: Register, outside: Outside) -> Registered:
    """Let a worker in, or let a new process of it take over from the one before.

    Raises:
        SessionSuperseded: Another machine has this identity (a copied state folder): the caller
            stops without touching containers.
        InvalidInput: Another protocol, or a capacity that makes no sense.
    """
    raise NotImplementedError


def heartbeat(
    uow: UnitOfWork, worker_id: str, command: Heartbeat, outside: Outside
) -> HeartbeatAnswer:
    """Renew the leases of everything the worker holds, and tell it what to stop.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    raise NotImplementedError


def claim(uow: UnitOfWork, worker_id: str, command: Claim, outside: Outside) -> Claimed:
    """Hand over what is assigned to the worker; the waiting for it is the API's.

    The same claim id gets the same answer while the attempts live; a new one gets what was not
    claimed before.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    raise NotImplementedError


def release(uow: UnitOfWork, worker_id: str, command: Release) -> Reported:
    """Take back assignments that the worker did not start: ASSIGNED -> PENDING, next fence.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    raise NotImplementedError


def drain_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> WorkerView:
    """Give a worker no new work; what it holds goes on.

    Raises:
        WorkerNotFound: No such worker.
    """
    raise NotImplementedError


def resume_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> WorkerView:
    """Give a drained worker work again.

    Raises:
        WorkerNotFound: No such worker.
    """
    raise NotImplementedError


def remove_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> None:
    """Forget a worker that holds nothing, or whose lease is over.

    Raises:
        WorkerNotFound: No such worker.
        WorkerBusy: It holds runs and is not LOST.
    """
    raise NotImplementedError


def list_workers(uow: UnitOfWork, outside: Outside) -> list[WorkerView]:
    """Return all workers by name."""
    raise NotImplementedError


def get_worker(uow: UnitOfWork, worker_id: str, outside: Outside) -> WorkerView:
    """Return one worker by id or name.

    Raises:
        WorkerNotFound: No such worker.
    """
    raise NotImplementedError

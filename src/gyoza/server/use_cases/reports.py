"""Taking in what workers report: phases, events, logs and results, each item on its own.

Per item the token is checked before the fence and the fence before anything else, so that a
superseded worker changes nothing.
"""

from __future__ import annotations

from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import Report, Reported


def report(uow: UnitOfWork, worker_id: str, command: Report, outside: Outside) -> Reported:
    """Take in one batch of a worker; every item is answered on its own.

    Raises:
        WorkerNotFound: Register again.
        SessionSuperseded: Another session registered.
    """
    raise NotImplementedError

"""One transaction as use cases see it: repositories, its time, and whom to wake after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gyoza.server.storage.records import Cluster
from gyoza.server.storage.repositories.artifacts import ArtifactRepository
from gyoza.server.storage.repositories.assignments import AssignmentRepository
from gyoza.server.storage.repositories.concurrency import ConcurrencyRepository
from gyoza.server.storage.repositories.definitions import DefinitionRepository
from gyoza.server.storage.repositories.dependencies import DependencyRepository
from gyoza.server.storage.repositories.gpus import GpuRepository
from gyoza.server.storage.repositories.idempotency import IdempotencyRepository
from gyoza.server.storage.repositories.logs import LogRepository
from gyoza.server.storage.repositories.outbox import OutboxRepository
from gyoza.server.storage.repositories.owner_use import OwnerUseRepository
from gyoza.server.storage.repositories.pulse import PulseRepository
from gyoza.server.storage.repositories.quotas import QuotaRepository
from gyoza.server.storage.repositories.run_times import RunTimesRepository
from gyoza.server.storage.repositories.runs import RunRepository
from gyoza.server.storage.repositories.workers import WorkerRepository
from gyoza.server.storage.transaction import Transaction


class UnitOfWork:
    """What `Store.read` and `Store.write` hand to their function.

    Nothing is visible to others before the function has returned and the store has committed; when
    it raises, nothing of it remains. It may be run again from the start, so it must not keep state
    outside.

    Attributes:
        definitions: Op definitions.
        runs: Runs, their events, the queue.
        assignments: What workers hold.
        workers: Workers.
        logs: Output of attempts.
        artifacts: What is known of stored files.
        idempotency: Answers kept for repeated requests.
        outbox: Events on their way out.
        pulse: When the control plane last lived.
        run_times: How long completed runs took.
        concurrency: Concurrency keys: who has them, who waits for them.
        dependencies: Which runs wait for which.
        quotas: What owners may have.
        gpus: What is known against GPUs.
        owner_use: What owners had of the fleet lately.
    """

    def __init__(self, transaction: Transaction, cluster: Callable[[], Cluster]) -> None:
        self._transaction = transaction
        self._cluster = cluster
        self.definitions = DefinitionRepository(transaction)
        self.runs = RunRepository(transaction)
        self.assignments = AssignmentRepository(transaction)
        self.workers = WorkerRepository(transaction)
        self.logs = LogRepository(transaction)
        self.artifacts = ArtifactRepository(transaction)
        self.idempotency = IdempotencyRepository(transaction)
        self.outbox = OutboxRepository(transaction)
        self.pulse = PulseRepository(transaction)
        self.run_times = RunTimesRepository(transaction)
        self.concurrency = ConcurrencyRepository(transaction)
        self.dependencies = DependencyRepository(transaction, self.runs)
        self.quotas = QuotaRepository(transaction)
        self.gpus = GpuRepository(transaction)
        self.owner_use = OwnerUseRepository(transaction)

    def now(self) -> datetime:
        """The transaction's time, aware and in UTC: the same for all its statements."""
        return self._transaction.now()

    def wake(self, topic: str) -> None:
        """Announce a topic after the commit: `run:<id>`, `worker:<id>`, `dispatch`, `events`."""
        self._transaction.wake(topic)

    def cluster(self) -> Cluster:
        """Who this database is, and the key of its attempt tokens."""
        return self._cluster()

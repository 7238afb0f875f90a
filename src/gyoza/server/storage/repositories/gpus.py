"""What is known against GPUs: whose attempts failed on them in a row, and which are in quarantine.

Most GPUs have no row. What to conclude from one is decided in `use_cases/gpu_health.py`; why a GPU
in quarantine gets no work is told with its worker.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete, select

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.instants import maybe_from_us, to_us
from gyoza.server.storage.planning_schema import gpu_records
from gyoza.server.storage.records import GpuRecord
from gyoza.server.storage.transaction import Transaction
from gyoza.wire import strict_json

_OF_WORKER: Final = gpu_records.c.worker_id == bindparam("worker")
_THIS: Final = (_OF_WORKER, gpu_records.c.gpu_uuid == bindparam("uuid"))
_FIND: Final = select(gpu_records.c.failed, gpu_records.c.quarantined_us, gpu_records.c.why).where(
    *_THIS
)
_FORGET: Final = delete(gpu_records).where(*_THIS)
_FORGET_ALL: Final = delete(gpu_records).where(_OF_WORKER)


class GpuRepository:
    """Records of GPUs, in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection

    def find(self, worker_id: str, uuid: str) -> GpuRecord | None:
        """What is known against the GPU; None is nothing."""
        row = self._connection.execute(_FIND, {"worker": worker_id, "uuid": uuid}).one_or_none()
        if row is None:
            return None
        failed = tuple(strict_json.loads(row.failed))
        return GpuRecord(worker_id, uuid, failed, maybe_from_us(row.quarantined_us), row.why)

    def save(self, record: GpuRecord) -> None:
        """Store what is known, in place of what was."""
        values = {
            "failed": strict_json.dumps_text(list(record.failed)),
            "quarantined_us": to_us(record.quarantined_at),
            "why": record.why,
        }
        key = {"worker_id": record.worker_id, "gpu_uuid": record.uuid}
        statement = upsert(self._connection, gpu_records).values(**key, **values)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=values)
        )

    def forget(self, worker_id: str, uuid: str) -> None:
        """Nothing is known against the GPU any more."""
        self._connection.execute(_FORGET, {"worker": worker_id, "uuid": uuid})

    def forget_worker(self, worker_id: str) -> None:
        """Likewise for all GPUs of a worker."""
        self._connection.execute(_FORGET_ALL, {"worker": worker_id})

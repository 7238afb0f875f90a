"""Workers: who registered, with what, and when they were last heard of."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, bindparam, delete, insert, select, update

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.instants import from_us, to_us
from gyoza.server.storage.planning_schema import gpu_records
from gyoza.server.storage.records import Reservation, WorkerRecord
from gyoza.server.storage.repositories.run_rows import from_text, to_text
from gyoza.server.storage.schema import limbo, workers
from gyoza.server.storage.transaction import Transaction
from gyoza.wire import strict_json
from gyoza.wire.messages import Capacity, Gpu

_FIND: Final = select(workers).where(workers.c.id == bindparam("worker"))
_LIST: Final = select(workers).where(workers.c.removed.is_(False)).order_by(workers.c.id)
_TOUCH: Final = (
    update(workers)
    .where(
        workers.c.id == bindparam("worker"),
        workers.c.session_id == bindparam("session"),
        workers.c.removed.is_(False),
    )
    .values(last_seen_us=bindparam("now"), problem=bindparam("trouble"))
)
_QUARANTINED: Final = select(
    gpu_records.c.worker_id, gpu_records.c.gpu_uuid, gpu_records.c.why
).where(
    gpu_records.c.worker_id.in_(bindparam("some", expanding=True)),
    gpu_records.c.quarantined_us.is_not(None),
)
_NOT_LATER: Final = (
    update(workers)
    .where(workers.c.last_seen_us > bindparam("now"))
    .values(last_seen_us=bindparam("now"))
)


class WorkerRepository:
    """The workers of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection

    def find(self, worker_id: str) -> WorkerRecord | None:
        """The worker, also when it was removed; None when it never registered."""
        row = self._connection.execute(_FIND, {"worker": worker_id}).mappings().one_or_none()
        return None if row is None else self._records([row])[0]

    def list(self) -> list[WorkerRecord]:
        """Every worker that is not removed, by id."""
        return self._records(self._connection.execute(_LIST).mappings().all())

    def _records(self, rows: Sequence[RowMapping]) -> builtins.list[WorkerRecord]:
        found = [_record(row) for row in rows]
        with_gpus = [worker.id for worker in found if worker.capacity.gpus]
        if not with_gpus:
            return found
        why: dict[str, dict[str, str]] = {}
        for row in self._connection.execute(_QUARANTINED, {"some": with_gpus}):
            why.setdefault(row.worker_id, {})[row.gpu_uuid] = row.why
        return [replace(each, quarantined=why.get(each.id, {})) for each in found]

    def save(self, worker: WorkerRecord) -> None:
        """Store the worker, new or known."""
        row = _row(worker)
        statement = upsert(self._connection, workers).values(row)
        changed = {name: value for name, value in row.items() if name != "id"}
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_=changed)
        )

    def touch(
        self,
        worker_id: str,
        session_id: str,
        now: datetime,
        gpus: Sequence[Gpu],
        problem: str,
        images: Collection[str] | None = None,
    ) -> bool:
        """Note a sign of life.

        Args:
            worker_id: Whole id.
            session_id: The session that speaks.
            now: When it was heard.
            gpus: Its GPUs with what others use of them; empty leaves what is known.
            problem: "" when its engine is well.
            images: What images its machine has; None leaves what is known.

        Returns:
            False when the worker is unknown, removed, or has another session by now.
        """
        given: dict[str, Any] = {
            "worker": worker_id,
            "session": session_id,
            "now": to_us(now),
            "trouble": problem,
        }
        statement = _TOUCH
        if gpus:
            given["seen"] = strict_json.dumps_text(msgspec.to_builtins(list(gpus)))
            statement = statement.values(gpus=bindparam("seen"))
        if images is not None:
            given["there"] = strict_json.dumps_text(sorted(images))
            statement = statement.values(images=bindparam("there"))
        return self._connection.execute(statement, given).rowcount == 1

    def none_heard_after(self, now: datetime) -> None:
        """Let no worker have been heard of after that moment."""
        self._connection.execute(_NOT_LATER, {"now": to_us(now)})

    def remove(self, worker_id: str) -> None:
        """Take the worker out of the list; it comes back by registering."""
        statement = update(workers).where(workers.c.id == worker_id).values(removed=True)
        self._connection.execute(statement)

    def in_limbo(
        self, worker_id: str, strangers: Mapping[str, Reservation], *, forget_others: bool
    ) -> dict[str, datetime]:
        """Remember containers of runs that nobody here knows, with what they take.

        Args:
            worker_id: On whose machine they are.
            strangers: What each takes, by the container's name; told of again it is as before.
            forget_others: Whether these are all there are, so that others of the worker are gone.

        Returns:
            Since when each has been known to be there.
        """
        mine, names = limbo.c.worker_id == worker_id, list(strangers)
        if forget_others:
            self._connection.execute(delete(limbo).where(mine, limbo.c.name.not_in(names)))
        query = select(limbo.c.name, limbo.c.since_us).where(mine, limbo.c.name.in_(names))
        since = {row.name: from_us(row.since_us) for row in self._connection.execute(query)}
        now = self._transaction.now()
        new = [name for name in names if name not in since]
        if new:
            rows = [_stranger(worker_id, name, strangers[name], to_us(now)) for name in new]
            self._connection.execute(insert(limbo), rows)
        return {**since, **dict.fromkeys(new, now)}

    def lock(self, worker_id: str) -> None:
        """Let nobody else place work on this worker until the transaction ends.

        On SQLite the only writer is alone anyway, and FOR UPDATE is not rendered there.
        """
        statement = select(workers.c.id).where(workers.c.id == worker_id).with_for_update()
        self._connection.execute(statement).first()


def _stranger(worker_id: str, name: str, takes: Reservation, since_us: int) -> dict[str, Any]:
    return {
        "worker_id": worker_id,
        "name": name,
        "since_us": since_us,
        "run_id": takes.run_id,
        "fence": takes.fence,
        "cpu": takes.cpu,
        "ram_mb": takes.ram_mb,
        "vram_mb": takes.vram_mb,
        "gpu_uuid": takes.gpu_uuid,
    }


def _row(worker: WorkerRecord) -> dict[str, Any]:
    return {
        "id": worker.id,
        "name": worker.name,
        "machine_id": worker.machine_id,
        "session_id": worker.session_id,
        "boot_id": worker.boot_id,
        "version": worker.version,
        "runtime": worker.runtime,
        "cpu": worker.capacity.cpu,
        "ram_mb": worker.capacity.ram_mb,
        "gpus": strict_json.dumps_text(msgspec.to_builtins(worker.capacity.gpus)),
        "tags": to_text(worker.tags),
        "draining": worker.draining,
        "problem": worker.problem,
        "removed": worker.removed,
        "registered_us": to_us(worker.registered_at),
        "last_seen_us": to_us(worker.last_seen_at),
        "images": strict_json.dumps_text(sorted(worker.images)),
    }


def _record(row: RowMapping) -> WorkerRecord:
    gpus = msgspec.convert(strict_json.loads(row["gpus"]), list[Gpu])
    return WorkerRecord(
        id=row["id"],
        name=row["name"],
        machine_id=row["machine_id"],
        session_id=row["session_id"],
        boot_id=row["boot_id"],
        version=row["version"],
        runtime=row["runtime"],
        capacity=Capacity(cpu=row["cpu"], ram_mb=row["ram_mb"], gpus=gpus),
        registered_at=from_us(row["registered_us"]),
        last_seen_at=from_us(row["last_seen_us"]),
        tags=from_text(row["tags"]),
        draining=row["draining"],
        problem=row["problem"],
        removed=row["removed"],
        images=frozenset(strict_json.loads(row["images"])),
    )

"""What workers hold: attempts under a lease, and the reservations that outlive a lost one.

An attempt is held from `open` to `close`. Every write names the fence, so that whoever comes late
changes nothing: zero rows is a normal outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    RowMapping,
    and_,
    bindparam,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    tuple_,
    update,
)

from gyoza.models import OpRunState
from gyoza.server.storage.instants import from_us, maybe_from_us, to_us
from gyoza.server.storage.records import CancelIntent, HeldAttempt, Holder, Opening, Reservation
from gyoza.server.storage.schema import HELD, limbo, op_attempts, op_runs, reservations
from gyoza.server.storage.statements import ManyRows, given
from gyoza.server.storage.transaction import Transaction

_AT_WORK: Final = text("op_runs.state IN ('ASSIGNED', 'RUNNING')")
_HELD: Final = (
    select(
        op_attempts.c.run_id,
        op_attempts.c.attempt,
        op_attempts.c.holder_fence,
        op_attempts.c.holder_id,
        op_runs.c.state,
        op_runs.c.phase,
        op_attempts.c.opened_us,
        op_attempts.c.claim_id,
        op_attempts.c.claimed_us,
        op_attempts.c.lease_expires_us,
        op_attempts.c.event_seq,
        op_attempts.c.log_seq,
        op_runs.c.cancel_reason,
        op_runs.c.cancel_message,
        op_runs.c.cancel_requested_us,
    )
    .join_from(op_attempts, op_runs, op_runs.c.id == op_attempts.c.run_id)
    .where(text(HELD))
)
BY_WORKER: Final = _HELD.where(op_attempts.c.holder_id == bindparam("worker")).order_by(
    op_attempts.c.opened_us, op_attempts.c.run_id
)
_UNCLAIMED: Final = BY_WORKER.where(op_attempts.c.claimed_us.is_(None))
_ONE: Final = _HELD.where(
    op_attempts.c.run_id == bindparam("run"), op_attempts.c.holder_fence == bindparam("fence")
)
EXPIRED: Final = (
    _HELD.where(op_attempts.c.lease_expires_us <= bindparam("now"))
    .order_by(op_attempts.c.lease_expires_us)
    .limit(bindparam("count"))
)
EXPIRED_HOLDERS: Final = select(op_attempts.c.holder_id).where(
    text(HELD), op_attempts.c.lease_expires_us <= bindparam("now")
)
UNACKNOWLEDGED: Final = (
    _HELD.where(op_attempts.c.claimed_us.is_(None), op_attempts.c.opened_us <= bindparam("before"))
    .order_by(op_attempts.c.opened_us)
    .limit(bindparam("count"))
)

_MINE: Final = (
    op_attempts.c.run_id == given("run"),
    op_attempts.c.holder_fence == given("of_fence"),
    text(HELD),
)
_OPEN: Final = ManyRows(
    update(op_attempts)
    .where(op_attempts.c.run_id == given("run"), op_attempts.c.attempt == given("number"))
    .values(
        holder_id=given("worker"),
        holder_fence=given("of_fence"),
        opened_us=given("now"),
        lease_expires_us=given("lease"),
        claim_id=None,
        claimed_us=None,
        event_seq=0,
        log_seq=0,
        result_digest=None,
    )
)
_CLAIM: Final = ManyRows(
    update(op_attempts).where(*_MINE).values(claim_id=given("claim"), claimed_us=given("now"))
)
_SEQUENCES: Final = ManyRows(
    update(op_attempts).where(*_MINE).values(event_seq=given("events"), log_seq=given("logs"))
)
_CLOSE: Final = ManyRows(
    update(op_attempts).where(*_MINE).values(lease_expires_us=None, result_digest=given("digest"))
)
_RENEW: Final = (
    update(op_attempts)
    .where(
        op_attempts.c.holder_id == bindparam("worker"),
        tuple_(op_attempts.c.run_id, op_attempts.c.holder_fence).in_(
            bindparam("held", expanding=True)
        ),
        text(HELD),
    )
    .values(lease_expires_us=bindparam("now") + bindparam("lease"))
    .returning(op_attempts.c.run_id, op_attempts.c.holder_fence)
)
_SHORTEN: Final = (
    update(op_attempts)
    .where(text(HELD), op_attempts.c.lease_expires_us > bindparam("latest"))
    .values(lease_expires_us=bindparam("latest"))
)
_RESERVE: Final = ManyRows(insert(reservations))
_FREE: Final = ManyRows(
    update(reservations)
    .where(
        reservations.c.run_id == given("run"),
        reservations.c.fence == given("of_fence"),
        reservations.c.freed_us.is_(None),
    )
    .values(freed_us=given("now"))
)
UNFREED: Final = (
    select(
        reservations.c.run_id,
        reservations.c.fence,
        reservations.c.worker_id,
        reservations.c.cpu,
        reservations.c.ram_mb,
        reservations.c.vram_mb,
        reservations.c.gpu_uuid,
        reservations.c.concurrency_key,
        op_runs.c.owner,
        op_runs.c.priority,
        op_runs.c.op_definition,
        op_runs.c.op_version,
        func.coalesce(op_runs.c.image_digest, op_runs.c.image),
        op_runs.c.preemptible,
        op_runs.c.cancel_requested_us.is_not(None),
        and_(op_runs.c.fence == reservations.c.fence, _AT_WORK),
        reservations.c.reserved_us,
        op_runs.c.created_us,
    )
    .join_from(reservations, op_runs, op_runs.c.id == reservations.c.run_id)
    .where(text("freed_us IS NULL"))
)
AT_WORK: Final = (
    select(op_runs.c.op_definition, op_runs.c.owner, func.count())
    .join_from(reservations, op_runs, op_runs.c.id == reservations.c.run_id)
    .where(text("freed_us IS NULL"))
    .group_by(op_runs.c.op_definition, op_runs.c.owner)
)
# Of runs that nobody here knows, of nobody, and of no present attempt; in the same order.
IN_LIMBO: Final = select(
    limbo.c.run_id,
    limbo.c.fence,
    limbo.c.worker_id,
    limbo.c.cpu,
    limbo.c.ram_mb,
    limbo.c.vram_mb,
    limbo.c.gpu_uuid,
    null(),
    null(),
    literal(0),
    null(),
    null(),
    literal(""),
    false(),
    false(),
    false(),
    limbo.c.since_us,
    null(),
).where(or_(limbo.c.cpu > 0, limbo.c.ram_mb > 0, limbo.c.vram_mb > 0))
_IN_LIMBO_ON: Final = IN_LIMBO.where(limbo.c.worker_id == bindparam("worker"))
_FREE_LIMBO: Final = ManyRows(
    update(limbo)
    .where(limbo.c.run_id == given("run"), limbo.c.fence == given("of_fence"))
    .values(cpu=0, ram_mb=0, vram_mb=0)
)
UNFREED_ON: Final = UNFREED.where(reservations.c.worker_id == bindparam("worker"))


class AssignmentRepository:
    """Who holds what, in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection

    # --- reservations --------------------------------------------------------------------------

    def reserve(self, *reserved: Reservation) -> None:
        """Take what the assignments need; a run and fence that has one is an integrity error."""
        now_us = self._transaction.now_us
        rows = [
            {
                "run_id": each.run_id,
                "fence": each.fence,
                "worker_id": each.worker_id,
                "cpu": each.cpu,
                "ram_mb": each.ram_mb,
                "vram_mb": each.vram_mb,
                "gpu_uuid": each.gpu_uuid,
                "concurrency_key": each.concurrency_key,
                "reserved_us": now_us,
            }
            for each in reserved
        ]
        _RESERVE.execute(self._connection, rows)

    def free(self, run_id: str, fence: int) -> None:
        """Give back what the assignment took and wake `dispatch`; repeating changes nothing.

        Who waits for its concurrency key is let in where the run is saved in the same transaction;
        where it is not, `free_all` sees to it.
        """
        self.free_many([(run_id, fence)])

    def free_many(self, assignments: Sequence[tuple[str, int]]) -> None:
        """`free` for many pairs of run id and fence, by one statement."""
        now_us = self._transaction.now_us
        _FREE.execute(
            self._connection,
            [{"run": run_id, "of_fence": fence, "now": now_us} for run_id, fence in assignments],
        )
        self._transaction.wake("dispatch")

    def free_all(self, reserved: Sequence[Reservation]) -> None:
        """`free_many` for reservations as they were read, whose keys others may wait for."""
        self.free_many([(each.run_id, each.fence) for each in reserved])
        for each in reserved:
            self._transaction.touch_key(each.concurrency_key)

    def at_work(self) -> list[tuple[str | None, str | None, int]]:
        """How many unfreed reservations there are by op and owner: (op, owner, count)."""
        return [(op, owner, count) for op, owner, count in self._connection.execute(AT_WORK)]

    def free_unknown(self, assignments: Sequence[tuple[str, int]]) -> None:
        """Let go of what containers in limbo took, by run id and fence, and wake `dispatch`."""
        rows = [{"run": run_id, "of_fence": fence} for run_id, fence in assignments]
        _FREE_LIMBO.execute(self._connection, rows)
        self._transaction.wake("dispatch")

    def reserved_by_worker(self) -> dict[str, list[Reservation]]:
        """Everything that is not freed, by worker id; workers without any are absent.

        What containers in limbo take is as taken as any reservation; so in `reserved_on`.
        """
        found: dict[str, list[Reservation]] = {}
        rows = (self._connection.execute(each) for each in (UNFREED, IN_LIMBO))
        for row in chain.from_iterable(rows):
            reserved = _reservation(row)
            found.setdefault(reserved.worker_id, []).append(reserved)
        return found

    def reserved_on(self, worker_id: str) -> list[Reservation]:
        """What is not freed on one worker."""
        given = {"worker": worker_id}
        rows = (self._connection.execute(each, given) for each in (UNFREED_ON, _IN_LIMBO_ON))
        return [_reservation(row) for row in chain.from_iterable(rows)]

    # --- holding -------------------------------------------------------------------------------

    def open(
        self, run_id: str, attempt: int, fence: int, worker_id: str, lease_expires_at: datetime
    ) -> None:
        """Put a stored attempt into a worker's hands, unclaimed, and wake `worker:<id>`."""
        self.open_many([Opening(run_id, attempt, fence, worker_id, lease_expires_at)])

    def open_many(self, openings: Sequence[Opening]) -> None:
        """`open` for many attempts, by one statement."""
        now_us = self._transaction.now_us
        rows = [
            {
                "run": each.run_id,
                "number": each.attempt,
                "of_fence": each.fence,
                "worker": each.worker_id,
                "now": now_us,
                "lease": to_us(each.lease_expires_at),
            }
            for each in openings
        ]
        _OPEN.execute(self._connection, rows)
        for each in openings:
            self._transaction.wake(f"worker:{each.worker_id}")

    def close(self, run_id: str, fence: int, result_digest: str | None = None) -> bool:
        """Take the attempt out of its worker's hands.

        Args:
            run_id: Whole id.
            fence: The fence it was opened with.
            result_digest: Names the result that closed it; None when none did.

        Returns:
            False when it was not held under this fence any more.
        """
        return self.close_many([(run_id, fence, result_digest)]) == 1

    def close_many(self, closings: Sequence[tuple[str, int, str | None]]) -> int:
        """`close` for many (run id, fence, result digest), by one statement.

        Returns:
            How many of them were still held.
        """
        rows = [
            {"run": run_id, "of_fence": fence, "digest": digest}
            for run_id, fence, digest in closings
        ]
        return _CLOSE.execute(self._connection, rows)

    def closed_result_digest(self, run_id: str, fence: int) -> str | None:
        """The digest of the result that closed the attempt held under this fence, if any."""
        statement = select(op_attempts.c.result_digest).where(
            op_attempts.c.run_id == run_id, op_attempts.c.holder_fence == fence
        )
        return self._connection.execute(statement).scalar()

    def find(self, run_id: str, fence: int) -> HeldAttempt | None:
        """The attempt if it is still held under this fence."""
        rows = self._connection.execute(_ONE, {"run": run_id, "fence": fence})
        row = rows.mappings().one_or_none()
        return None if row is None else _held(row)

    def held_by(self, worker_id: str) -> list[HeldAttempt]:
        """Everything in the worker's hands, oldest first."""
        return self._held(BY_WORKER, {"worker": worker_id})

    def unclaimed_for(self, worker_id: str) -> list[HeldAttempt]:
        """What was assigned to the worker and not yet claimed by it, oldest first."""
        return self._held(_UNCLAIMED, {"worker": worker_id})

    def mark_claimed(
        self, items: Iterable[HeldAttempt | tuple[str, int]], claim_id: str, now: datetime
    ) -> None:
        """Note that the worker asked for these and has them.

        Args:
            items: Held attempts, or pairs of run id and fence.
            claim_id: The worker's own name for its request.
            now: When.
        """
        rows: list[dict[str, Any]] = []
        for item in items:
            run_id, fence = item if isinstance(item, tuple) else (item.run_id, item.fence)
            rows.append({"run": run_id, "of_fence": fence, "claim": claim_id, "now": to_us(now)})
        _CLAIM.execute(self._connection, rows)

    def renew(
        self, worker_id: str, held: Sequence[tuple[str, int]], lease_s: float
    ) -> set[tuple[str, int]]:
        """Move the leases of all these to `lease_s` from the store's now, in one statement.

        Returns:
            The pairs of run id and fence that were renewed; the others are not this worker's.
        """
        if not held:
            return set()
        given = {
            "worker": worker_id,
            "held": list(held),
            "now": self._transaction.now_us,
            "lease": round(lease_s * 1_000_000),
        }
        return {(row[0], row[1]) for row in self._connection.execute(_RENEW, given)}

    def shorten_leases(self, latest: datetime) -> None:
        """Let no lease end after that moment."""
        self._connection.execute(_SHORTEN, {"latest": to_us(latest)})

    def set_sequences(self, run_id: str, fence: int, event_seq: int, log_seq: int) -> None:
        """Note how far the worker's events and logs have been taken."""
        self.set_sequences_many([(run_id, fence, event_seq, log_seq)])

    def set_sequences_many(self, sequences: Sequence[tuple[str, int, int, int]]) -> None:
        """`set_sequences` for many (run id, fence, event number, log number), by one statement."""
        rows = [
            {"run": run_id, "of_fence": fence, "events": event_seq, "logs": log_seq}
            for run_id, fence, event_seq, log_seq in sequences
        ]
        _SEQUENCES.execute(self._connection, rows)

    # --- what went wrong -----------------------------------------------------------------------

    def expired(self, now: datetime, limit: int) -> list[HeldAttempt]:
        """What is held under a lease that is over, longest over first."""
        return self._held(EXPIRED, {"now": to_us(now), "count": limit})

    def expired_holders(self, now: datetime) -> set[str]:
        """The workers that hold something under a lease that is over."""
        return set(self._connection.execute(EXPIRED_HOLDERS, {"now": to_us(now)}).scalars())

    def unacknowledged(self, before: datetime, limit: int) -> list[HeldAttempt]:
        """What was assigned before that moment and never claimed, oldest first."""
        return self._held(UNACKNOWLEDGED, {"before": to_us(before), "count": limit})

    def _held(self, statement: Any, given: dict[str, Any]) -> list[HeldAttempt]:
        return [_held(row) for row in self._connection.execute(statement, given).mappings()]


def _held(row: RowMapping) -> HeldAttempt:
    requested_us = row["cancel_requested_us"]
    cancel = None
    if requested_us is not None:
        cancel = CancelIntent(row["cancel_reason"], row["cancel_message"], from_us(requested_us))
    return HeldAttempt(
        run_id=row["run_id"],
        attempt=row["attempt"],
        fence=row["holder_fence"],
        worker_id=row["holder_id"],
        state=OpRunState(row["state"]),
        phase=row["phase"],
        opened_at=from_us(row["opened_us"]),
        claim_id=row["claim_id"],
        claimed_at=maybe_from_us(row["claimed_us"]),
        lease_expires_at=from_us(row["lease_expires_us"]),
        cancel=cancel,
        last_event_seq=row["event_seq"],
        last_log_seq=row["log_seq"],
    )


def _reservation(row: Any) -> Reservation:
    # Unpacked by position, in the statement's order: by name costs twice as much.
    run_id, fence, worker_id, cpu, ram_mb, vram_mb, gpu_uuid, key, *of_run, since_us, asked_us = row
    owner, priority, op, version, image, preemptible, stops, current = of_run
    holder = Holder(
        owner,
        priority,
        op,
        version,
        image,
        bool(preemptible),
        bool(stops),
        bool(current),
        from_us(since_us),
        maybe_from_us(asked_us),
    )
    return Reservation(run_id, fence, worker_id, cpu, ram_mb, vram_mb, gpu_uuid, key, holder)

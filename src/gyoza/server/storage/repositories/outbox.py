"""Events on their way out; rows are written by `record_events` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text, update

from gyoza.server.storage.instants import from_us, maybe_from_us
from gyoza.server.storage.records import OutboxRow
from gyoza.server.storage.schema import outbox
from gyoza.server.storage.transaction import Transaction


class OutboxRepository:
    """The outbox of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection

    def unsent(self, destination: str, limit: int) -> list[OutboxRow]:
        """What waits for the destination, in the order in which it was written."""
        statement = (
            select(outbox)
            .where(outbox.c.destination == destination, text("sent_us IS NULL"))
            .order_by(outbox.c.id)
            .limit(limit)
        )
        return [_row(row) for row in self._connection.execute(statement)]

    def mark_sent(self, ids: Sequence[int]) -> None:
        """Note that these were confirmed by their destination."""
        statement = update(outbox).where(outbox.c.id.in_(ids), outbox.c.sent_us.is_(None))
        self._connection.execute(statement.values(sent_us=self._transaction.now_us))


def _row(row: Any) -> OutboxRow:
    return OutboxRow(
        id=row.id,
        event_id=f"{row.run_id}:{row.number}",
        run_id=row.run_id,
        number=row.number,
        destination=row.destination,
        created_at=from_us(row.created_us),
        sent_at=maybe_from_us(row.sent_us),
    )

"""Answers kept for requests that may come again under the same key."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select, tuple_

from gyoza.server.storage.instants import to_us
from gyoza.server.storage.records import IdempotencyRecord
from gyoza.server.storage.schema import idempotency
from gyoza.server.storage.transaction import Transaction


class IdempotencyRepository:
    """The kept answers of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection
        self._now_us = transaction.now_us

    def find(self, scope: str, key: str) -> IdempotencyRecord | None:
        """The answer that is kept under the key, if any.

        Args:
            scope: Keeps the keys of different callers and verbs apart.
            key: The caller's key.
        """
        statement = select(
            idempotency.c.request_hash, idempotency.c.status, idempotency.c.body
        ).where(idempotency.c.scope == scope, idempotency.c.key == key)
        row = self._connection.execute(statement).first()
        return None if row is None else IdempotencyRecord(*row)

    def put(self, scope: str, key: str, request_hash: str, status: int, body: str) -> None:
        """Keep an answer.

        A key that is kept already is an integrity error: look first, in the same transaction.
        """
        statement = insert(idempotency).values(
            scope=scope,
            key=key,
            request_hash=request_hash,
            status=status,
            body=body,
            created_us=self._now_us,
        )
        self._connection.execute(statement)

    def prune(self, before: datetime, limit: int) -> int:
        """Forget answers that were kept before that moment, oldest first; returns how many."""
        oldest = (
            select(idempotency.c.scope, idempotency.c.key)
            .where(idempotency.c.created_us < to_us(before))
            .order_by(idempotency.c.created_us)
            .limit(limit)
        )
        statement = delete(idempotency).where(
            tuple_(idempotency.c.scope, idempotency.c.key).in_(oldest)
        )
        return self._connection.execute(statement).rowcount

"""Answers kept for requests that may come again under the same key."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, insert, select

from gyoza.server.storage.records import IdempotencyRecord
from gyoza.server.storage.schema import idempotency
from gyoza.server.storage.transaction import Transaction

KEPT_S: Final = 24 * 3600


class IdempotencyRepository:
    """The kept answers of one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection
        self._now_us = transaction.now_us
        self._oldest_us = transaction.now_us - KEPT_S * 1_000_000

    def find(self, scope: str, key: str) -> IdempotencyRecord | None:
        """The answer that was kept less than 24 hours ago, if any.

        Args:
            scope: Keeps the keys of different callers and verbs apart.
            key: The caller's key.
        """
        statement = select(
            idempotency.c.request_hash, idempotency.c.status, idempotency.c.body
        ).where(
            idempotency.c.scope == scope,
            idempotency.c.key == key,
            idempotency.c.created_us > self._oldest_us,
        )
        row = self._connection.execute(statement).first()
        return None if row is None else IdempotencyRecord(*row)

    def put(self, scope: str, key: str, request_hash: str, status: int, body: str) -> None:
        """Keep an answer, and forget those older than 24 hours.

        A key that is kept already is an integrity error: look first, in the same transaction.
        """
        old = delete(idempotency).where(idempotency.c.created_us <= self._oldest_us)
        self._connection.execute(old)
        statement = insert(idempotency).values(
            scope=scope,
            key=key,
            request_hash=request_hash,
            status=status,
            body=body,
            created_us=self._now_us,
        )
        self._connection.execute(statement)

"""What owners had of the fleet lately; what to make of it is in `use_cases/owner_use.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import delete, insert, select

from gyoza.server.storage.instants import from_us
from gyoza.server.storage.planning_schema import owner_use
from gyoza.server.storage.transaction import Transaction

_ALL: Final = select(owner_use.c.owner, owner_use.c.used, owner_use.c.updated_us)
_NOBODY: Final = ""


class OwnerUse(NamedTuple):
    """What an owner had of the fleet lately.

    Attributes:
        used: As a part of it, from 0 to 1.
        at: As of when.
    """

    used: float
    at: datetime


class OwnerUseRepository:
    """What owners had lately, in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection

    def all(self) -> dict[str | None, OwnerUse]:
        """What is known; owners who had nothing worth keeping are absent."""
        rows = self._connection.execute(_ALL)
        return {row.owner or None: OwnerUse(row.used, from_us(row.updated_us)) for row in rows}

    def replace(self, used: Mapping[str | None, float]) -> None:
        """Store what owners had as of now, in place of everything that was known."""
        self._connection.execute(delete(owner_use))
        now_us = self._transaction.now_us
        rows = [
            {"owner": owner or _NOBODY, "used": part, "updated_us": now_us}
            for owner, part in used.items()
        ]
        if rows:
            self._connection.execute(insert(owner_use), rows)

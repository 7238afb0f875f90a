"""Quotas of owners, and how much an owner has waiting."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, text

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.planning_schema import quotas
from gyoza.server.storage.records import Quota
from gyoza.server.storage.schema import QUEUED, op_runs
from gyoza.server.storage.transaction import Transaction

_ALL: Final = select(quotas.c.owner, quotas.c.max_queued, quotas.c.max_active)
# As many as matter: whoever has a million waiting costs no more than its quota.
QUEUED_OF: Final = select(func.count()).select_from(
    select(text("1"))
    .select_from(op_runs)
    .where(text(QUEUED), op_runs.c.owner.is_not_distinct_from(bindparam("owner")))
    .limit(bindparam("most"))
    .subquery()
)


class QuotaRepository:
    """The quotas of one transaction; who has no row has what the settings say."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection

    def find(self, owner: str) -> Quota | None:
        """The owner's quota, if it has one of its own."""
        row = self._connection.execute(_ALL.where(quotas.c.owner == owner)).one_or_none()
        return None if row is None else _quota(row)

    def list(self) -> list[Quota]:
        """All quotas, by owner."""
        return [_quota(row) for row in self._connection.execute(_ALL.order_by(quotas.c.owner))]

    def put(self, quota: Quota) -> None:
        """Give an owner this quota instead of any that it had."""
        limits = {"max_queued": quota.max_queued, "max_active": quota.max_active}
        row = upsert(self._connection, quotas).values(owner=quota.owner, **limits)
        self._connection.execute(row.on_conflict_do_update(index_elements=["owner"], set_=limits))

    def remove(self, owner: str) -> bool:
        """Leave an owner to the settings; False when it had no quota of its own."""
        removed = self._connection.execute(delete(quotas).where(quotas.c.owner == owner))
        return removed.rowcount == 1

    def queued(self, owner: str | None, most: int) -> int:
        """How many runs of an owner wait, counted up to `most`; None are those without an owner."""
        given = {"owner": owner, "most": most}
        return self._connection.execute(QUEUED_OF, given).scalar_one()


def _quota(row: Any) -> Quota:
    owner, max_queued, max_active = row
    return Quota(owner, max_queued, max_active)

"""Who a database is: its id and secret, made once and never changed."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import insert, select

from gyoza.models.ids import new_id
from gyoza.server.storage.records import Cluster
from gyoza.server.storage.schema import cluster
from gyoza.server.storage.transaction import Transaction

_SECRET_BYTES: Final = 32


def load_cluster(transaction: Transaction, secret: bytes | None) -> Cluster:
    """The stored identity, or a new one when there is none.

    Args:
        transaction: One that may write.
        secret: The secret of a new identity; None makes a random one.
    """
    row = transaction.connection.execute(select(cluster.c.id, cluster.c.secret)).first()
    if row is not None:
        return Cluster(row.id, row.secret)
    made = Cluster(
        new_id("clu", now=transaction.now()), secret or secrets.token_bytes(_SECRET_BYTES)
    )
    values = {"singleton": 1, "id": made.id, "secret": made.secret}
    transaction.connection.execute(insert(cluster), {**values, "created_us": transaction.now_us})
    return made

"""When the control plane last lived, and until when no lease counts as over: one row."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, select

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.instants import from_us, maybe_from_us, to_us
from gyoza.server.storage.records import Pulse
from gyoza.server.storage.schema import pulse
from gyoza.server.storage.transaction import Transaction

_FIND: Final = select(pulse.c.ticked_us, pulse.c.amnesty_until_us, pulse.c.brake_until_us)


class PulseRepository:
    """The pulse, in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._connection = transaction.connection

    def find(self) -> Pulse | None:
        """The pulse; None before the first tick on this database."""
        return self._found(_FIND)

    def lock(self) -> Pulse | None:
        """`find`, and let nobody else change it until the transaction ends.

        Two servers that read at once could otherwise undo each other's amnesty. On SQLite the only
        writer is alone anyway, and FOR UPDATE is not rendered there.
        """
        return self._found(_FIND.with_for_update())

    def _found(self, query: Select[Any, Any, Any]) -> Pulse | None:
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        ticked_us, amnesty_us, brake_us = row
        return Pulse(from_us(ticked_us), maybe_from_us(amnesty_us), maybe_from_us(brake_us))

    def save(self, found: Pulse) -> None:
        """Replace what is stored."""
        values = {
            "ticked_us": to_us(found.ticked_at),
            "amnesty_until_us": to_us(found.amnesty_until),
            "brake_until_us": to_us(found.brake_until),
        }
        statement = upsert(self._connection, pulse).values(singleton=1, **values)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["singleton"], set_=values)
        )

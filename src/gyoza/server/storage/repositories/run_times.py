"""How long runs took, learned from those that completed: one row per op version or image.

Durations spread by factors, not by seconds, so it is the logarithm whose mean and variance are
kept; newer runs weigh more, since inputs and machines change (exponential weighting after the first
few: Finch, "Incremental calculation of weighted mean and variance", 2009).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import bindparam, select

from gyoza.server.storage.dialects import upsert
from gyoza.server.storage.planning_schema import run_times
from gyoza.server.storage.records import RunTimes
from gyoza.server.storage.transaction import Transaction

_COLUMNS: Final = (
    run_times.c.source,
    run_times.c.samples,
    run_times.c.log_mean,
    run_times.c.log_variance,
)
_FIND: Final = select(*_COLUMNS).where(run_times.c.source.in_(bindparam("some", expanding=True)))


class RunTimesRepository:
    """Learned run times, in one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._connection = transaction.connection

    def find_many(self, sources: Iterable[str]) -> dict[str, RunTimes]:
        """What is known of each source; sources of which no run completed are absent."""
        wanted = sorted(set(sources))
        if not wanted:
            return {}
        rows = self._connection.execute(_FIND, {"some": wanted})
        return {row[0]: RunTimes(row[1], row[2], row[3]) for row in rows}

    def learn(self, source: str, seconds: float) -> None:
        """Take one more duration into account.

        Args:
            source: What ran, as `source_of` names it.
            seconds: From the container's start to its end; what is shorter counts as 1 ms.
        """
        known = self.find_many([source]).get(source, RunTimes()).with_another(seconds)
        values = {
            "samples": known.samples,
            "log_mean": known.log_mean,
            "log_variance": known.log_variance,
            "updated_us": self._transaction.now_us,
        }
        statement = upsert(self._connection, run_times).values(source=source, **values)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["source"], set_=values)
        )

"""What every repository of one transaction shares: the connection, its time, what to announce."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from gyoza.server.storage.instants import from_us
from gyoza.server.storage.records import Destination


class Transaction:
    """One transaction on one connection; it ends where it was begun, not in here.

    Args:
        connection: Inside a transaction.
        now_us: The transaction's time, microseconds since the epoch.
        destinations: Where events go besides the timeline.
    """

    def __init__(
        self, connection: Connection, now_us: int, destinations: Sequence[Destination] = ()
    ) -> None:
        self.connection = connection
        self.now_us = now_us
        self.destinations = tuple(destinations)
        self.topics: dict[str, None] = {}  # a set that keeps its order
        # Concurrency keys of which a place may have become free, or a run may have come to wait.
        self.touched_keys: dict[str, None] = {}
        # Runs that ended in this transaction, for whom others may have waited.
        self.ended_runs: dict[str, None] = {}

    def now(self) -> datetime:
        """The transaction's time."""
        return from_us(self.now_us)

    def wake(self, topic: str) -> None:
        """Announce the topic once the transaction has committed."""
        self.topics[topic] = None

    def note_end(self, run_id: str) -> None:
        """Have it looked, before the commit, who waited for a run that has ended."""
        self.ended_runs[run_id] = None

    def touch_key(self, key: str | None) -> None:
        """Have it looked, before the commit, who may go on of a concurrency key; None is none."""
        if key is not None:
            self.touched_keys[key] = None

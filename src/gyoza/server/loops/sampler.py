"""Sampling what owners have of the fleet, for fair share."""

from __future__ import annotations

from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from gyoza.server.use_cases.owner_use import SAMPLE_S, is_use_worth_a_sample, sample_use


class Sampler:
    """One tick takes one sample.

    Args:
        store: The database.
        settings: How long use is remembered.
    """

    name = "sampler"
    topic: str | None = None

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def tick(self) -> float:
        """Sample; returns the seconds until the next."""
        if await self._store.read(is_use_worth_a_sample):
            await self._store.write(lambda uow: sample_use(uow, self._settings))
        return SAMPLE_S

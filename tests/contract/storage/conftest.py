"""The engines that the store's suite runs on; a second engine adds its name and its opener here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gyoza.server.clock import ManualClock
from gyoza.server.storage.records import Destination
from gyoza.server.storage.store import Store

OpenStore = Callable[..., Any]
ENGINES = ("sqlite",)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=ENGINES)
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database of the engine is."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path / 'gyoza.db'}"


@pytest.fixture
def open_store(engine_url: str, clock: ManualClock) -> OpenStore:
    """Opens the test's database, as often as a test restarts its server."""

    @contextmanager
    def opened(destinations: Sequence[Destination] = ()) -> Iterator[Store]:
        store = Store.open(engine_url, clock=clock, destinations=destinations)
        try:
            yield store
        finally:
            store.close()

    return opened


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    with open_store() as opened:
        yield opened

"""A whole server in this process: real store, real use cases, no sockets and no loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from gyoza.server.api.lifelines import Stopping
from gyoza.server.clock import SystemClock
from gyoza.server.main import create_app
from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from tests.integration.api.driver import Api, Running


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[Any]]:
    """What the server logs during the test."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Opens a server with settings of the test's own."""

    @asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[Api]:
        chosen = Settings(data_dir=tmp_path, **settings)
        store, stopping = Store.open(chosen.database_path, clock=SystemClock()), Stopping()
        app = create_app(chosen, store, SystemClock(), stopping)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Api(app, client, store, stopping)
        store.close()

    return run


@pytest.fixture
async def api(running: Running) -> AsyncIterator[Api]:
    """A server without keys."""
    async with running() as opened:
        yield opened

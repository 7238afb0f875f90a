from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server_core.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server's core over a real SQLite store, with a clock that stands still."""
    made = World(tmp_path / "gyoza.db")
    yield made
    made.close()

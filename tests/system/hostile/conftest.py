"""One real stack for all hostile ops, an observer beside it, and a canary they all want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.engine import Engine, busybox_image, require_engine
from tests.support.stack import Stack
from tests.system.hostile.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gyoza.client import GyozaClient

CANARY_CONTENT = '{"answer": "stolen from the host"}'


@dataclass(frozen=True)
class Arena:
    """Where hostile ops run."""

    engine: Engine
    image: str
    stack: Stack
    client: GyozaClient
    observer: Observer
    canary: Path


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    engine = require_engine()
    image = busybox_image(engine)
    canary = tmp_path_factory.mktemp("canary") / "canary.json"
    canary.write_text(CANARY_CONTENT)
    folder = tmp_path_factory.mktemp("hostile")
    with Stack(folder) as stack, Observer() as observer, stack.client() as client:
        yield Arena(engine, image, stack, client, observer, canary)
    engine.close()

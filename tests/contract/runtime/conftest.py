"""One bench per runtime; the real engine is needed in CI and skipped loudly where it is missing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest

from gyoza.worker.clock import SystemClock
from gyoza.worker.runtime.docker import DockerRuntime
from gyoza.worker.runtime.fake import FakeRuntime
from tests.contract.runtime.behaviours import BEHAVIOURS
from tests.contract.runtime.bench import Bench
from tests.support.engine import Engine, busybox_image, require_engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    found = require_engine()
    yield found
    found.close()


@pytest.fixture
async def docker_bench(engine: Engine) -> AsyncGenerator[Bench]:
    made = Bench(DockerRuntime(), busybox_image(engine))
    yield made
    await made.clean_up()


@pytest.fixture
async def fake_bench() -> AsyncGenerator[Bench]:
    scripts = {name: behaviour.script for name, behaviour in BEHAVIOURS.items()}
    made = Bench(FakeRuntime(SystemClock(), scripts), None)
    yield made
    await made.clean_up()


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
def bench(request: pytest.FixtureRequest) -> Bench:
    return request.getfixturevalue(f"{request.param}_bench")

"""The pytest plugin: fixtures that run ops, each loading what it needs when a test asks for it.

Registered as an entry point, so it is imported by every pytest run of whoever installed gyoza: it
imports pytest, which is there already, and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gyoza.testing.memory_server import MemoryClient
    from gyoza.testing.results import RunResult

RunOp = Callable[..., "RunResult"]


@pytest.fixture
def gyoza_run(tmp_path: Path) -> RunOp:
    """Run an op in this process: `gyoza_run(op, {"name": value})` gives a `RunResult`."""
    run = importlib.import_module("gyoza.testing.in_process").run

    def call(op: Callable[..., Any], inputs: Mapping[str, Any] | None = None) -> RunResult:
        return run(op, inputs, folder=tmp_path / "gyoza-out")

    return call


@pytest.fixture(scope="session")
def gyoza_images() -> Callable[[Path], str]:
    """Builds projects, each once in a session; used by `gyoza_container`."""
    projects = importlib.import_module("gyoza.testing.fixtures")
    built: dict[Path, str] = {}

    def image_of(path: Path) -> str:
        place = path.resolve()
        if place not in built:
            built[place] = projects.build_quietly(place)
        return built[place]

    return image_of


@pytest.fixture
def gyoza_container(tmp_path: Path, gyoza_images: Callable[[Path], str]) -> RunOp:
    """Run an image, or a project that is built first, in a container without a server.

    `gyoza_container("image:tag", inputs)` or `gyoza_container(Path("project"), inputs)`. Without a
    container engine the test is skipped; where `CI` is set it fails.
    """
    fixtures = importlib.import_module("gyoza.testing.fixtures")
    fixtures.require_engine()

    def call(what: str | Path, inputs: Mapping[str, Any] | None = None) -> RunResult:
        folder = tmp_path / "gyoza-out"
        if isinstance(what, Path):
            return fixtures.run_project(what, gyoza_images(what), inputs, folder)
        return fixtures.run_container(what, inputs, folder=folder)

    return call


@pytest.fixture
def gyoza_client(tmp_path: Path) -> Iterator[MemoryClient]:
    """A client of a whole server in this process, whose ops are functions of the test.

    `gyoza_client.deploy(op)` registers one; then it is an ordinary `GyozaClient`.
    """
    memory = importlib.import_module("gyoza.testing.memory_server")
    with memory.memory_server(tmp_path / "gyoza-server") as client:
        yield client

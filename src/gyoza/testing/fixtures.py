"""What the plugin's fixtures do once a test has asked for them: engines, builds and projects."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gyoza.project.build_progress import Step
from gyoza.testing.container import anywhere, run_container
from gyoza.testing.engine import EngineFacts, EngineUnreachable
from gyoza.testing.projects import build_local, read_local_project
from gyoza.testing.results import RunResult
from gyoza.testing.settings import engine_address, process_environment
from gyoza.worker.clock import SystemClock

__all__ = ["build_quietly", "require_engine", "run_container", "run_project"]


def require_engine() -> None:
    """Skip the test without a container engine, or fail it where `CI` is set."""
    try:
        anywhere(_asked(engine_address()))
    except EngineUnreachable as error:
        if process_environment().get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def build_quietly(path: Path) -> str:
    """Build a project's image and return its name.

    Raises:
        BuildError: With the end of what the builder printed.
        ProjectError: With every problem of the project.
    """
    project = read_local_project(path)
    return build_local(project, process_environment(), _Nobody(), time.monotonic).reference


def run_project(
    path: Path, image: str, inputs: Mapping[str, Any] | None, folder: Path
) -> RunResult:
    """Run a project's op in its image, as its file and its code declare it."""
    project = read_local_project(path)
    labels = anywhere(_labels(image, engine_address()))
    definition = project.definition(image, labels, now=SystemClock().now())
    return run_container(image, inputs, definition=definition, folder=folder)


async def _asked(address: str) -> None:
    async with EngineFacts(address) as engine:
        await engine.answers()


async def _labels(image: str, address: str) -> Mapping[str, str]:
    async with EngineFacts(address) as engine:
        return (await engine.image(image)).labels


class _Nobody:
    """Listens to a build that succeeds in silence; one that fails raises what it printed."""

    def step(self, step: Step) -> None:
        """See `Listener.step`."""

    def stage(self, name: str, seconds: float, detail: str) -> None:
        """See `Listener.stage`."""

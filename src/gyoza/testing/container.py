"""Running an op in a container without a server: the Docker Engine, and the worker's rules."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from gyoza.models import OpDefinition
from gyoza.testing.attempts import (
    Bench,
    LocalAttempt,
    OnAttempt,
    Order,
    container_user,
    quiet,
)
from gyoza.testing.engine import EngineFacts
from gyoza.testing.local_files import LocalFiles
from gyoza.testing.local_server import Watcher
from gyoza.testing.measuring import Measure, Measured
from gyoza.testing.ops import definition_of, input_problems, refusal_text
from gyoza.testing.results import RunResult
from gyoza.testing.settings import engine_address
from gyoza.worker.clock import SystemClock
from gyoza.worker.runtime.docker import DockerRuntime

SCRATCH: Final = "gyoza-local-"
T = TypeVar("T")


def run_container(
    image: str,
    inputs: Mapping[str, Any] | None = None,
    *,
    definition: OpDefinition | None = None,
    folder: Path | None = None,
) -> RunResult:
    """Run an image once, as a worker on this machine would, and wait for its end.

    Args:
        image: On this machine, or to be pulled.
        inputs: By name; a `Path` is a file.
        definition: What the op declares; None takes the label that `gyoza build` writes, and an
            image without one declares nothing.
        folder: Where its files go; None makes a temporary folder, which stays.

    Raises:
        EngineUnreachable: No container engine answers.
        ImageUnknown: `definition` is None and the image is not on this machine.
        OSError: An input file cannot be read.
    """
    target = folder or Path(tempfile.mkdtemp(prefix="gyoza-out-"))
    return anywhere(_run(image, inputs or {}, definition, target))


def anywhere(work: Coroutine[Any, Any, T]) -> T:
    """Carry a coroutine out, also when called from inside of a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def in_container(
    order: Order,
    address: str,
    *,
    watcher: Watcher | None = None,
    on_attempt: OnAttempt = lambda _: None,
) -> RunResult:
    """Carry an order out in a container.

    Args:
        order: What to run.
        address: Of the engine.
        watcher: Is told how it goes on.
        on_attempt: Gets the attempt before it begins, to stop it by.

    Raises:
        EngineUnreachable: No container engine answers.
    """
    clock, measured = SystemClock(), Measured()
    runtime = DockerRuntime(address.removeprefix("unix://"))
    try:
        async with EngineFacts(address) as engine:
            with quiet(), tempfile.TemporaryDirectory(prefix=SCRATCH) as state_dir:
                bench = Bench(
                    runtime=runtime,
                    state_dir=Path(state_dir),
                    user=container_user(),
                    watcher=watcher,
                    clock=clock,
                    beside=(Measure(engine, clock, measured),),
                )
                attempt = LocalAttempt(order, bench)
                on_attempt(attempt)
                result = await attempt.run()
    finally:
        await runtime.close()
    return replace(result, peak_memory_mb=measured.peak_memory_mb)


async def _run(
    image: str, inputs: Mapping[str, Any], given: OpDefinition | None, folder: Path
) -> RunResult:
    address = engine_address()
    definition = given
    if definition is None:
        async with EngineFacts(address) as engine:
            labels = (await engine.image(image)).labels
        definition = definition_of(image, labels, now=SystemClock().now())
    files = LocalFiles()
    ready = files.prepared(inputs, definition.input_specs)
    problems = input_problems(definition, ready)
    if problems:
        return RunResult(outcome="FAILED", reason="BAD_INPUT", message=refusal_text(problems))
    order = Order(
        definition=definition,
        inputs=definition.prepare_inputs(ready),
        files=files.paths,
        folder=folder,
    )
    return await in_container(order, address)

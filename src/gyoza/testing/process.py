"""Running an op in the author's own interpreter, as a process, without an engine or a server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gyoza.testing.attempts import Bench, LocalAttempt, OnAttempt, Order, quiet
from gyoza.testing.local_server import Watcher
from gyoza.testing.process_runtime import ProcessRuntime
from gyoza.testing.results import RunResult
from gyoza.worker.clock import SystemClock


async def in_process(
    order: Order,
    command: tuple[str, ...],
    place: tuple[Path, Mapping[str, str]],
    *,
    watcher: Watcher | None = None,
    on_attempt: OnAttempt = lambda _: None,
) -> RunResult:
    """Carry an order out in a process of this machine.

    Args:
        order: What to run; its image is only a name here.
        command: Runs the op.
        place: Folder and environment of the process.
        watcher: Is told how it goes on.
        on_attempt: Gets the attempt before it begins, to stop it by.
    """
    clock = SystemClock()
    folder, environment = place
    with quiet(), tempfile.TemporaryDirectory(prefix="gyoza-local-") as state_dir:
        bench = Bench(
            runtime=ProcessRuntime(command, folder, environment, clock),
            state_dir=Path(state_dir),
            user=(os.geteuid(), os.getegid()),
            watcher=watcher,
            clock=clock,
        )
        attempt = LocalAttempt(order, bench)
        on_attempt(attempt)
        return await attempt.run()

"""The worker: takes assignments from a server, runs them as containers, reports how they ended.

`start` runs one until it is told to stop. The parts are imported from their own modules; what they
are is told in `docs/architecture/worker.md`.
"""

from __future__ import annotations


def start() -> None:
    """Run a worker with settings from the environment until SIGTERM or SIGINT ends it.

    Raises:
        SystemExit: It cannot start (the message says why), or a signal ended it.
    """
    from gyoza.worker.main import start as start_worker  # noqa: PLC0415  heavy: only when called

    start_worker()

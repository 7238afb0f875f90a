"""The composition root: reads the settings, opens the store, puts the parts together, runs them.

The one module that knows every part. Nothing is decided here but the order: a taken port is found
before the store is opened, loops start before the first request and end after the last.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import random
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
import watchfiles
from fastapi import FastAPI
from pydantic import Field, ValidationError

from gyoza.models.ids import new_id
from gyoza.server import logging
from gyoza.server.api import serving
from gyoza.server.api.access import Keys, UnsafeSettings, refuse_unsafe_binding
from gyoza.server.api.app import Lifespan, build_app
from gyoza.server.api.context import ServerContext
from gyoza.server.api.lifelines import Stopping
from gyoza.server.clock import Clock, SystemClock
from gyoza.server.errors import ServerError, StoreUnavailable
from gyoza.server.loops.roster import Roster
from gyoza.server.settings import Settings
from gyoza.server.storage.artifact_places import open_artifact_files
from gyoza.server.storage.store import Store
from gyoza.server.use_cases.outside import Outside

DISTRIBUTION: Final = "gyoza-ops"
_INTERRUPTED: Final = 130
_log = structlog.stdlib.get_logger("gyoza.server")
OnReady = Callable[[str], None]


class StartSettings(Settings):
    """Settings of the process rather than of the server.

    Attributes:
        reload: Restart whenever gyoza's source changes.
        workers: Server processes.
    """

    reload: bool = False
    workers: int = Field(default=1, ge=1)


def create_app(
    settings: Settings, store: Store, clock: Clock, stopping: Stopping | None = None
) -> FastAPI:
    """Put the application together over an open store; its lifespan runs the loops.

    Args:
        settings: Read once.
        store: Stays the caller's to close.
        clock: The store's.
        stopping: Ends streams and long polls; None when nobody will.

    Raises:
        UnsafeSettings: Callers and workers have the same key.
        StoreUnavailable: The place of the artifacts cannot be used.
    """
    outside = Outside(settings, _new_id, random.Random())  # noqa: S311 - jitter, no secrets
    files = open_artifact_files(settings.artifact_store, settings.artifacts_dir, clock.monotonic)
    roster = Roster(store, outside, clock, files)
    context = ServerContext(
        version=importlib.metadata.version(DISTRIBUTION),
        settings=settings,
        keys=Keys.of(settings),
        store=store,
        clock=clock,
        artifact_files=files,
        outside=outside,
        stopping=stopping or Stopping(),
        dispatcher_age_s=roster.dispatcher_age_s,
    )
    return build_app(context, _new_request_id, _running(roster))


async def serve(
    settings: Settings, *, on_ready: OnReady | None = None, clock: Clock | None = None
) -> signal.Signals | None:
    """Run the server in this event loop until a signal or a cancellation.

    Args:
        settings: Where to listen and where the data is.
        on_ready: Called with the URL once requests are answered.
        clock: None takes the machine's.

    Returns:
        The signal that ended it, None when something else did.

    Raises:
        UnsafeSettings: It would be open to people it should not be open to.
        CannotListen: The port is taken or the address not ours.
        StoreUnavailable: The database cannot be used; another server may hold it.
    """
    keys = Keys.of(settings)
    refuse_unsafe_binding(settings.host, keys)
    _warn_of_a_missing_key(keys)
    clock = clock or SystemClock()
    listening = serving.listen(settings.host, settings.port)
    try:
        async with _open_store(settings, clock) as store:
            stopping = Stopping()
            app = create_app(settings, store, clock, stopping)
            return await serving.run(app, listening, stopping, _announcer(settings, on_ready))
    finally:
        listening.close()


def start(
    host: str | None,
    port: int | None,
    reload: bool | None,  # noqa: FBT001 - the published signature
    workers: int | None,
    log_level: str | None,
) -> None:
    """Run the server until a signal; see `gyoza.server.start`."""
    given = {
        "host": host,
        "port": port,
        "reload": reload,
        "workers": workers,
        "log_level": log_level,
    }
    settings = _settings(given)
    if settings.workers > 1:
        sys.exit(
            f"gyoza: {settings.workers} server processes cannot share a SQLite database; leave "
            "--workers and GYOZA_WORKERS at 1"
        )
    if settings.reload:
        source = Path(__file__).parents[1]
        watchfiles.run_process(source, target=run, args=(settings,))
    else:
        run(settings)


def run(settings: Settings) -> None:
    """Configure the logs and serve; what cannot start says so in one line and exits with 1.

    Raises:
        SystemExit: With a message when the server cannot start; with 130 after SIGINT.
    """
    logging.configure(settings.log_level, sys.stderr)
    try:
        ended_by = asyncio.run(serve(settings))
    except (UnsafeSettings, serving.CannotListen, ServerError) as error:
        sys.exit(f"gyoza: {error}")
    if ended_by is signal.SIGINT:
        sys.exit(_INTERRUPTED)


def _settings(given: dict[str, Any]) -> StartSettings:
    try:
        return StartSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        sys.exit(f"gyoza: these settings are not valid (an argument, or GYOZA_<NAME>): {faults}")


def _running(roster: Roster) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        roster.start()
        try:
            yield
        finally:
            await roster.stop()

    return lifespan


@asynccontextmanager
async def _open_store(settings: Settings, clock: Clock) -> AsyncGenerator[Store]:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"the data folder {settings.data_dir} cannot be made ({error.strerror}); choose "
            "another with GYOZA_DATA_DIR"
        ) from None
    store = await asyncio.to_thread(Store.open, settings.database_path, clock=clock)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def _announcer(settings: Settings, on_ready: OnReady | None) -> OnReady:
    def announce(url: str) -> None:
        _log.info("ready", url=url, data_dir=str(settings.data_dir))
        if on_ready is not None:
            on_ready(url)

    return announce


def _warn_of_a_missing_key(keys: Keys) -> None:
    if keys.configured and keys.worker is None:
        _log.warning("no worker can connect: GYOZA_API_KEY is set and GYOZA_WORKER_KEY is not")
    if keys.configured and keys.caller is None:
        _log.warning("no caller can connect: GYOZA_WORKER_KEY is set and GYOZA_API_KEY is not")


def _new_id(kind: str, now: datetime) -> str:
    return new_id(kind, now=now)


def _new_request_id() -> str:
    return f"req_{secrets.token_hex(8)}"

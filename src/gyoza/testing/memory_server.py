"""A whole server in a thread of this process: real API, real store, and functions as ops.

Server, planner and worker are the production ones over SQLite in a folder of the test; only the
sockets and the containers are missing. The one module of the author's tools that needs the server.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gyoza.client import GyozaClient
from gyoza.models import OpDefinition
from gyoza.op.spec import derive
from gyoza.server.api.lifelines import Stopping
from gyoza.server.clock import SystemClock as ServerClock
from gyoza.server.main import create_app
from gyoza.server.settings import Settings
from gyoza.server.storage.store import Store
from gyoza.testing.attempts import quiet
from gyoza.testing.function_runtime import FunctionRuntime
from gyoza.testing.in_process import definition_of_code
from gyoza.testing.memory_transport import LoopTransport, in_loop_transport
from gyoza.wire.messages import Capacity
from gyoza.worker.clock import SystemClock
from gyoza.worker.main import assemble
from gyoza.worker.server_http import HttpServer
from gyoza.worker.settings import WorkerSettings

URL: Final = "http://localhost"
VERSION: Final = "0.0.1"
_START_S: Final = 30.0
_END_S: Final = 10.0
# Nothing is really reserved: what an op asks for must only not be more than is offered.
_CAPACITY: Final = Capacity(cpu=1024, ram_mb=1024 * 1024)


class MemoryClient(GyozaClient):
    """A `GyozaClient` of a server in this process, which can make functions its ops.

    Args:
        server: The server.
    """

    def __init__(self, server: _Server) -> None:
        super().__init__(URL, transport=LoopTransport(server.app, server.loop))
        self._server = server

    def deploy(self, op: Callable[..., Any], name: str | None = None) -> OpDefinition:
        """Register a function, or a class with `run()`, as an op.

        Args:
            op: Runs in this process when a run of it is submitted.
            name: Op id; None is the function's name.

        Raises:
            SpecError: No specs can be made from the op's code.
            Conflict: An op of that name is there with other specs.
        """
        found = definition_of_code(derive(op))
        found.id, found.version = name or _id_of(op), VERSION
        found.image = f"function/{found.id}"
        self._server.runtime.add(found.image, op)
        return self.upsert_definition(found)


@contextmanager
def memory_server(folder: Path) -> Generator[MemoryClient]:
    """Run a server for the length of the block and give its client.

    Args:
        folder: For its data; made when it is not there.
    """
    with quiet():
        server = _Server(folder)
        server.start()
        try:
            with MemoryClient(server) as client:
                yield client
        finally:
            server.stop()


def _id_of(op: Callable[..., Any]) -> str:
    return str(getattr(op, "__name__", "op")).lower().strip("_") or "op"


class _Server:
    """The thread, and what lives in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gyoza-memory", daemon=True)
        self._error: BaseException | None = None
        self._ending = asyncio.Event()
        self.loop = asyncio.new_event_loop()
        self.app: Any = None
        self.runtime = FunctionRuntime(SystemClock())

    def start(self) -> None:
        """Start, and return when requests are answered.

        Raises:
            RuntimeError: It did not start.
        """
        self._thread.start()
        if not self._ready.wait(_START_S) or self._error is not None:
            raise RuntimeError("the server of the test did not start") from self._error

    def stop(self) -> None:
        """End the worker, then the server."""
        self.loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_END_S)

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._live())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the start
            self._error = error
        finally:
            self._ready.set()
            self.loop.close()

    async def _live(self) -> None:
        # Keys of the environment are for real servers.
        settings = Settings(data_dir=self._folder, api_key=None, worker_key=None)
        clock = ServerClock()
        store = await asyncio.to_thread(Store.open, settings.database_path, clock=clock)
        try:
            stopping = Stopping()
            self.app = create_app(settings, store, clock, stopping)
            async with self.app.router.lifespan_context(self.app):
                await self._work(stopping)
        finally:
            await asyncio.to_thread(store.close)

    async def _work(self, stopping: Stopping) -> None:
        state_dir = self._folder / "worker"
        state_dir.mkdir(exist_ok=True)
        server = HttpServer(URL, transport=in_loop_transport(self.app))
        agent, services = assemble(
            WorkerSettings(), state_dir, runtime=self.runtime, server=server, capacity=_CAPACITY
        )
        working = asyncio.create_task(agent.run())
        try:
            self._ready.set()
            await self._ending.wait()
            agent.stop_now()
            await asyncio.wait((working,), timeout=_END_S / 2)
        finally:
            stopping.begin()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            services.journal.close()
            await server.close()

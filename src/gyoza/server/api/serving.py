"""Running the application: the listening socket, signals, and an end that takes seconds.

uvicorn answers SIGTERM by waiting for open responses, and only then tells the application. Streams
would keep it waiting for ever. So signals are ours: streams and long polls end first, then uvicorn
stops. What still hangs after 3 s (a client that does not read) is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Callable, Generator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from gyoza.server.api.lifelines import Stopping

GRACE_S: Final = 3
# Workers call every 5 s; uvicorn's own 5 s would close their connection just as they use it.
_KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 2048
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class CannotListen(OSError):
    """The address cannot be listened on; the text says why and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    It listens at once rather than only binding: two sockets that are merely bound with
    SO_REUSEADDR may share a port, and the second server would not notice.

    Raises:
        CannotListen: The port is taken, not permitted, or the host is not ours.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CannotListen(f"cannot listen on {host!r}: {error.strerror}") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(_why(host, port, error)) from None
    listening.setblocking(False)
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the address that a listening socket is reached at."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run(
    app: ASGIApp, listening: socket.socket, stopping: Stopping, on_ready: Callable[[str], None]
) -> signal.Signals | None:
    """Serve until a signal or a cancellation, and end streams first.

    Args:
        app: With its lifespan.
        listening: Is closed at the end.
        stopping: Is begun by SIGINT and SIGTERM; a second signal ends at once.
        on_ready: Called with the URL once requests are answered.

    Returns:
        The first signal, None when something else ended it.
    """
    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config, lambda: on_ready(url_of(listening)))
    with _signals(server, stopping) as received:
        try:
            await server.serve(sockets=[listening])
        finally:
            stopping.begin()
    return received[0] if received else None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # `_signals` has them


@contextlib.contextmanager
def _signals(server: _Server, stopping: Stopping) -> Generator[list[signal.Signals]]:
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        server.force_exit = bool(received)
        received.append(number)
        stopping.begin()
        server.should_exit = True

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield received
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _why(host: str, port: int, error: OSError) -> str:
    reasons = {
        "EADDRINUSE": f"port {port} is in use on {host}; stop what uses it, or choose another "
        "with --port or GYOZA_PORT",
        "EACCES": f"port {port} needs root; choose one above 1023 with --port or GYOZA_PORT",
        "EADDRNOTAVAIL": f"{host} is no address of this machine; see --host and GYOZA_HOST",
    }
    name = errno.errorcode.get(error.errno or 0, "")
    return reasons.get(name, f"cannot listen on {host}:{port}: {error.strerror}")

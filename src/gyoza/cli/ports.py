"""Whether a TCP port can be listened on, and which next one can."""

from __future__ import annotations

import socket
from typing import Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError

DEFAULT_HOST: Final = "127.0.0.1"
_TRIED: Final = 100


def is_free(host: str, port: int) -> bool:
    """Return whether nobody listens there; port 0 always is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a connection lingering in TIME_WAIT does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def next_free(host: str, port: int) -> int:
    """Return this port, or the next one that is free.

    Raises:
        CliError: None of the next hundred is.
    """
    for candidate in range(port, min(port + _TRIED, 65536)):
        if is_free(host, candidate):
            return candidate
    raise CliError(f"no free port from {port} on", ExitCode.CONFLICT, hint="choose one with --port")

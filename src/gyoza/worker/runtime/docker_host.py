"""What the engine's own process may do, read from the machine and not asked of the engine.

An engine without the right to raise limits (rootless, or confined itself) cannot give a container
more open files than it has: every start would fail. Its API does not say, `/proc` does.
"""

from __future__ import annotations

import re
import socket as sockets
import struct
from pathlib import Path
from typing import Final

from gyoza.worker.runtime.docker_spec import NOFILE

CAP_SYS_RESOURCE: Final = 24
_PEER: Final = struct.Struct("3i")
_PATIENCE_S: Final = 1.0


def nofile_limit(socket: str) -> int:
    """The number of open files to allow a container on the engine behind `socket`.

    Args:
        socket: Path of the engine's Unix socket.

    Returns:
        `NOFILE`, or less where the engine can give no more. If the engine's process cannot be
        looked at, it is taken for an ordinary one.
    """
    try:
        process = Path("/proc", str(_peer_pid(socket)))
        return affordable_nofile((process / "limits").read_text(), (process / "status").read_text())
    except OSError:
        return NOFILE


def engine_process(socket: str) -> str:
    """Name the engine's process so that its successor has another name; "" if it is not known.

    Behind a socket that systemd listens on, it is systemd's own: then a restart does not show.
    """
    try:
        pid = _peer_pid(socket)
        # proc(5): the name, in brackets, may hold anything; the start is the 22nd field of all.
        started = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{pid}@{started}"


def affordable_nofile(limits: str, status: str) -> int:
    """The same from the texts of `/proc/PID/limits` and `/proc/PID/status` (proc(5))."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    may_raise = effective is not None and bool(int(effective[1], 16) >> CAP_SYS_RESOURCE & 1)
    hard = re.search(r"^Max open files\s+\S+\s+(\d+)", limits, re.MULTILINE)
    return NOFILE if may_raise or hard is None else min(NOFILE, int(hard[1]))


def _peer_pid(path: str) -> int:
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_S)
        connection.connect(path)
        peer = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _PEER.size)
    pid: int = _PEER.unpack(peer)[0]
    return pid

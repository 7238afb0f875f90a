"""What the worker asks of its server: five calls, two ways for files, and how they fail.

`server_http` speaks HTTP; `server_fake` is a server in memory. Every call has an end in time and
may be repeated; when to repeat is decided by whoever calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gyoza.wire.messages import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAnswer,
    Register,
    Registered,
    Release,
    Report,
    Reported,
)

Content = Callable[[int], AsyncIterator[bytes]]
"""Gives a file's bytes without so many at its beginning, each time it is called."""


class ServerFault(Exception):
    """The server did not do what it was asked; the message says what and why."""


class ServerAway(ServerFault):
    """Nobody answered, or only to say that it cannot answer now: the same call may work later."""


class ServerRefused(ServerFault):
    """The server understood and said no: repeating the same call cannot help.

    Args:
        message: What was refused and why.
        code: The problem's stable name, such as `INVALID_REQUEST`; "" if it has none.
        status: The HTTP status.
    """

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class SessionSuperseded(ServerRefused):
    """Another process has registered as this worker since: this one must end."""


class WorkerUnknown(ServerRefused):
    """The server does not know this worker (any more): register again."""


class ArtifactMissing(ServerRefused):
    """The server has no file of that content."""


class ServerPort(Protocol):
    """The server as a worker sees it.

    Every call may raise `ServerAway` and `ServerRefused`; those that name a worker may also raise
    `SessionSuperseded` and `WorkerUnknown`.
    """

    async def register(self, message: Register) -> Registered:
        """Present this worker; nothing else is allowed before."""
        ...

    async def heartbeat(self, worker_id: str, message: Heartbeat) -> HeartbeatAnswer:
        """Give a sign of life; renews the leases of all that is held."""
        ...

    async def claim(self, worker_id: str, message: Claim) -> Claimed:
        """Wait for assignments, up to the message's `wait_s`."""
        ...

    async def report(self, worker_id: str, message: Report) -> Reported:
        """Deliver what the attempts have to say; the answers come in the same order."""
        ...

    async def release(self, worker_id: str, message: Release) -> Reported:
        """Give assignments back unstarted."""
        ...

    async def put_artifact(
        self, sha256: str, size_bytes: int, media_type: str, content: Content
    ) -> None:
        """Store a file under its content's hash; quick if the server has it already.

        What arrived of it before is not sent again.
        """
        ...

    def get_artifact(
        self, sha256: str, *, start: int = 0
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a stored file for reading.

        Args:
            sha256: Of the file.
            start: How many bytes to leave out at its beginning; nothing comes of a shorter file.

        Raises:
            ArtifactMissing: The server has no such file.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...

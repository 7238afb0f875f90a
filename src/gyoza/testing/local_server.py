"""A server for one attempt on this machine: files come from paths and go into a folder.

It is what a worker's pipeline needs of a server and no more; nobody registers with it or claims
from it, since whoever makes it hands the assignment over. It holds outputs on disk, however large.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, final

from gyoza.wire.messages import (
    ArtifactRef,
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAnswer,
    Register,
    Registered,
    Release,
    Report,
    ReportAnswer,
    Reported,
    ReportedEvent,
    ReportedLog,
    ReportItem,
    Result,
)
from gyoza.worker.server_port import ArtifactMissing, Content, ServerRefused

_PIECE: Final = 256 * 1024


class Watcher(Protocol):
    """Is told how a run goes on, about once a second."""

    def phase(self, name: str) -> None:
        """Take what the run is busy with: PULLING, STARTING, STOPPING ..."""
        ...

    def event(self, event: ReportedEvent) -> None:
        """Take an event."""
        ...

    def log(self, stream: str, text: str) -> None:
        """Take a piece of output."""
        ...


@final
class LocalServer:
    """A `ServerPort` of one attempt.

    Args:
        inputs: Paths of the input files, by sha256.
        store: Folder for what the op leaves; it must exist.
        watcher: Is told as things come; None when nobody looks.
    """

    def __init__(
        self, inputs: Mapping[str, Path], store: Path, watcher: Watcher | None = None
    ) -> None:
        self._inputs = inputs
        self._store = store
        self._watcher = watcher
        self.events: list[ReportedEvent] = []
        self.logs: list[ReportedLog] = []
        self.result: Result | None = None

    def place(self, artifacts: Iterable[ArtifactRef], folder: Path) -> dict[str, Path]:
        """Put stored files into a folder under their own names; returns where each is.

        Names come from a walk through `out/files/`, so none of them leads out of the folder.
        """
        placed: dict[str, Path] = {}
        for artifact in artifacts:
            target = folder / artifact.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._store / artifact.sha256, target)
            placed[artifact.name] = target
        return placed

    async def report(self, worker_id: str, message: Report) -> Reported:
        """See `ServerPort.report`."""
        return Reported(items=[self._take(item) for item in message.items])

    async def put_artifact(
        self, sha256: str, size_bytes: int, media_type: str, content: Content
    ) -> None:
        """See `ServerPort.put_artifact`."""
        digest = hashlib.sha256()
        target = self._store / sha256
        with target.open("wb") as file:
            async for piece in content(0):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            target.unlink()
            raise ServerRefused("the content is not what was announced", code="HASH_MISMATCH")

    @asynccontextmanager
    async def get_artifact(
        self, sha256: str, *, start: int = 0
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `ServerPort.get_artifact`."""
        path = self._inputs.get(sha256)
        if path is None:
            what = f"no file {sha256} was given; pass a path, or -i name=@path"
            raise ArtifactMissing(what, code="ARTIFACT_NOT_FOUND", status=404)

        async def pieces() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                file.seek(start)
                while piece := file.read(_PIECE):
                    yield piece

        yield pieces()

    async def register(self, message: Register) -> Registered:
        """See `ServerPort.register`; always refused."""
        raise _only_one()

    async def heartbeat(self, worker_id: str, message: Heartbeat) -> HeartbeatAnswer:
        """See `ServerPort.heartbeat`; always refused."""
        raise _only_one()

    async def claim(self, worker_id: str, message: Claim) -> Claimed:
        """See `ServerPort.claim`; always refused."""
        raise _only_one()

    async def release(self, worker_id: str, message: Release) -> Reported:
        """See `ServerPort.release`; always refused."""
        raise _only_one()

    async def close(self) -> None:
        """See `ServerPort.close`."""

    def _take(self, item: ReportItem) -> ReportAnswer:
        # Numbers grow by one from 1, and this server takes everything: nothing is sent twice.
        self.events += item.events
        self.logs += item.logs
        self.result = item.result or self.result
        if self._watcher is not None:
            self._tell(item, self._watcher)
        return ReportAnswer(run_id=item.run_id, fence=item.fence, status="OK")

    def _tell(self, item: ReportItem, watcher: Watcher) -> None:
        for event in item.events:
            watcher.event(event)
        for log in item.logs:
            watcher.log(log.stream, log.text)
        if item.phase is not None:
            watcher.phase(item.phase)


def _only_one() -> ServerRefused:
    return ServerRefused("this server has one attempt, and whoever made it has handed it out")

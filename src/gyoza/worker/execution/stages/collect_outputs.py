"""Fifth stage: read what the dead container left, and store its files with the server."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog

from gyoza.op import protocol
from gyoza.wire.messages import ArtifactRef
from gyoza.worker import hostile_files
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.execution.input_files import describe
from gyoza.worker.execution.outcome import Output
from gyoza.worker.execution.outputs import (
    Document,
    OverDiskLimit,
    Unacceptable,
    read_document,
    read_error,
)
from gyoza.worker.execution.services import Services
from gyoza.worker.server_port import ServerAway, ServerRefused
from gyoza.worker.waiting import Backoff, ignoring_cancellation

PHASE: Final = "COLLECTING"
_MIB: Final = 1024 * 1024
_log = structlog.stdlib.get_logger(__name__)


class CollectOutputs:
    """Reads outputs after exit 0, the op's own word on its failure after any other.

    Args:
        services: Of the worker.
    """

    name: ClassVar[str] = "collect_outputs"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        if context.exit_code != protocol.EXIT_OK:
            context.error = await asyncio.to_thread(read_error, context.folder.outer)
            return
        context.output = await self._output(context)
        context.outputs = context.output.outputs

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: nothing is held."""

    async def _output(self, context: ExecutionContext) -> Output:
        try:
            document = await asyncio.to_thread(
                read_document,
                context.folder.outer,
                context.output_specs,
                context.settings.disk_mb,
            )
        except Unacceptable as problem:
            return Output(problem=str(problem))
        except hostile_files.Refused as refusal:
            return Output(problem=f"out/ cannot be read: {refusal}")
        except OverDiskLimit as problem:
            raise StageFailure("DISK_LIMIT", str(problem), charged=True) from None
        if document.values is None and context.output_specs.specs:
            return Output(is_missing=True)
        return await self._stored(context, document)

    async def _stored(self, context: ExecutionContext, document: Document) -> Output:
        artifacts: dict[str, ArtifactRef] = {}
        if document.files:
            context.report.phase(PHASE)
        for path, file in document.files.items():
            if file.refusal:
                name = hostile_files.shown_name(path)
                context.report.event("ERROR", f"out/files/{name} {file.refusal}; left out")
            else:
                artifacts[path] = await self._store(context, path)
        values = document.values_with({path: describe(ref) for path, ref in artifacts.items()})
        return Output(values, list(artifacts.values()), is_missing=document.values is None)

    async def _store(self, context: ExecutionContext, path: str) -> ArtifactRef:
        """Send one file: hashed first, then sent from the same descriptor, and hashed again."""
        with ExitStack() as held:
            try:
                # Not to be cut off in between: the descriptor would stay open for ever.
                source = await ignoring_cancellation(asyncio.to_thread(_open, context, path, held))
            except hostile_files.Refused as refusal:
                raise StageFailure(
                    "OUTPUT_INVALID", f"out/files/{refusal}", charged=True, retryable=False
                ) from None
            sent = await asyncio.to_thread(_Sending.of, source)
            media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
            await self._send(sent, media_type)
        return ArtifactRef(
            sha256=sent.sha256, size_bytes=sent.size_bytes, media_type=media_type, name=path
        )

    async def _send(self, sent: _Sending, media_type: str) -> None:
        backoff, arrived = Backoff(self._services.draw), 0
        while True:
            try:
                await self._services.server.put_artifact(
                    sent.sha256, sent.size_bytes, media_type, sent.content
                )
            except ServerAway as fault:
                _log.info("output file delayed", sha256=sent.sha256, why=str(fault))
                if sent.begun_at > arrived:
                    backoff.reset()  # it gets on, though the connection breaks again and again
                arrived = sent.begun_at
                await self._services.clock.sleep(backoff.next_s())
            except ServerRefused as fault:
                message = f"the server does not take an output file: {fault}"
                raise StageFailure("WORKER_ERROR", message) from fault
            else:
                return


@dataclass(slots=True)
class _Sending:
    """An open file whose content has been hashed.

    Attributes:
        begun_at: How many bytes had arrived when it was last sent.
    """

    descriptor: int
    sha256: str
    size_bytes: int
    begun_at: int = 0

    @classmethod
    def of(cls, descriptor: int) -> _Sending:
        digest = hashlib.sha256()
        size = 0
        # As many bytes as there were at the start: a file that grows has no end.
        for piece in hostile_files.read_pieces(descriptor, os.fstat(descriptor).st_size):
            digest.update(piece)
            size += len(piece)
        return cls(descriptor, digest.hexdigest(), size)

    async def content(self, arrived: int) -> AsyncIterator[bytes]:
        self.begun_at = left_out = arrived
        digest = hashlib.sha256()
        pieces = hostile_files.read_pieces(self.descriptor, self.size_bytes)
        # What has arrived is read again, too: only the whole tells whether the file has changed.
        while piece := await asyncio.to_thread(next, pieces, b""):
            digest.update(piece)
            if left_out < len(piece):
                yield piece[left_out:]
            left_out = max(0, left_out - len(piece))
        if digest.hexdigest() != self.sha256:
            message = "an output file changed while it was being sent"
            raise StageFailure("OUTPUT_INVALID", message, charged=True, retryable=False)


def _open(context: ExecutionContext, path: str, held: ExitStack) -> int:
    with hostile_files.opened_folder(context.folder.outer) as out:
        files = hostile_files.open_subfolder(out, protocol.FILES)
        with hostile_files.closing(files):
            return held.enter_context(hostile_files.closing(hostile_files.open_below(files, path)))

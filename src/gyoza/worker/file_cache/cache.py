"""The cache as attempts use it: ask for a file, wait for it, and have it at a path of one's own.

Attempts that want the same file wait for one download; whoever waits goes on with it when the one
in front is stopped. The server being away is waited out, everything else is the caller's to judge.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar, final

import structlog

from gyoza.wire.messages import ArtifactRef
from gyoza.worker.clock import Clock
from gyoza.worker.file_cache.arrival import Arrival
from gyoza.worker.file_cache.shelf import FOLDER, FileShelf, disk_of
from gyoza.worker.server_port import ServerAway, ServerPort
from gyoza.worker.waiting import Backoff, ignoring_cancellation

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_MIB: Final = 1024 * 1024
_log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")


class WrongContent(Exception):
    """The server gives other bytes than the reference names; the message says which."""


class DiskFull(Exception):
    """The file does not fit, even without all that may go; the message names the disk."""


@dataclass(slots=True)
class _Turn:
    """Who is busy with a file, and who waits."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@final
class FileCache:
    """Input files of one worker.

    Args:
        state_dir: Of the worker; files live in a folder below.
        server: Where files come from.
        clock: For pauses, and for what was used last.
        draw: Jitter of pauses.
        limit_mb: How much is kept of files that no attempt uses; those in use count, but stay.
        lends_links: As `FileShelf` takes it.
    """

    def __init__(
        self,
        state_dir: Path,
        server: ServerPort,
        clock: Clock,
        draw: random.Random,
        *,
        limit_mb: int,
        lends_links: bool,
    ) -> None:
        self._shelf = FileShelf(state_dir / FOLDER, lends_links=lends_links)
        self._server = server
        self._clock = clock
        self._draw = draw
        self._limit_bytes = limit_mb * _MIB
        self._turns: dict[str, _Turn] = {}
        self._may_be_over = False

    async def lend(
        self,
        reference: ArtifactRef,
        target: Path,
        on_fetch: Callable[[], None] = lambda: None,
    ) -> None:
        """Bring a file to `target`, from here or from the server; may be repeated.

        Args:
            reference: Of the file.
            target: Where the attempt wants it.
            on_fetch: Called if it has to come from the server, before it does.

        Raises:
            WrongContent: The server gives something else.
            DiskFull: There is no room for it.
            ServerRefused: The server does not give it, for instance because it has no such file.
        """
        sha256 = reference.sha256
        async with self._turn(sha256):
            while not await self._lent(reference, target):
                on_fetch()
                await self._bring(reference)

    async def tidy(self) -> None:
        """Go back below the limit; nothing happens while nothing has been fetched."""
        if self._may_be_over:
            try:
                self._may_be_over = await self._shrink(self._limit_bytes) > self._limit_bytes
            except OSError as error:
                # No attempt is to fail for it; the next one tries again.
                _log.warning("input files cannot be evicted", error=str(error))

    async def _lent(self, reference: ArtifactRef, target: Path) -> bool:
        now_ns = round(self._clock.now().timestamp() * 10**9)
        sha256, size_bytes = reference.sha256, reference.size_bytes
        with self._naming_the_disk(reference):
            return await _in_thread(lambda: self._shelf.lend(sha256, size_bytes, target, now_ns))

    async def _bring(self, reference: ArtifactRef) -> None:
        """Fetch a file into the folder, however often the connection breaks."""
        backoff, known_bytes = Backoff(self._draw), 0
        while True:
            arrival = Arrival(self._shelf.part(reference.sha256), reference.size_bytes)
            try:
                await self._receive(arrival, reference)
                return
            except ServerAway as fault:
                # Without the server nothing is lost by waiting: it takes no result either.
                _log.info("input file delayed", sha256=reference.sha256, why=str(fault))
                if arrival.received_bytes > known_bytes:
                    backoff.reset()
                known_bytes = arrival.received_bytes
                await self._clock.sleep(backoff.next_s())

    async def _receive(self, arrival: Arrival, reference: ArtifactRef) -> None:
        try:
            with self._naming_the_disk(reference):
                await _in_thread(self._shelf.make)
                await _in_thread(arrival.open)
                await self._make_room(arrival.missing_bytes)
                if arrival.missing_bytes:
                    await self._download(arrival, reference.sha256)
                await self._finish(arrival, reference)
        except DiskFull:
            # Others need the room more than a file that cannot become whole here.
            await _in_thread(lambda: self._shelf.drop(reference.sha256))
            raise
        finally:
            arrival.close()

    async def _download(self, arrival: Arrival, sha256: str) -> None:
        begin = arrival.received_bytes
        async with self._server.get_artifact(sha256, start=begin) as pieces:
            async for piece in pieces:
                await self._take(arrival, piece)
                # To the end, so that the connection can be used again; but no further.
                if arrival.is_too_long:
                    break

    async def _take(self, arrival: Arrival, piece: bytes) -> None:
        try:
            await _in_thread(lambda: arrival.take(piece))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # Whatever may go, goes; then it either fits or there is nothing left to try.
            await self._shrink(0)
            await _in_thread(lambda: arrival.take(piece))

    async def _finish(self, arrival: Arrival, reference: ArtifactRef) -> None:
        sha256 = reference.sha256
        if arrival.sha256 == sha256 and arrival.received_bytes == reference.size_bytes:
            await _in_thread(arrival.sync)
            await _in_thread(lambda: self._shelf.keep(sha256))
            self._may_be_over = True
            return
        await _in_thread(lambda: self._shelf.drop(sha256))
        if not arrival.was_begun:
            raise WrongContent(
                f"arrived as {arrival.received_bytes} bytes with sha256 {arrival.sha256}; "
                f"expected {reference.size_bytes} bytes"
            )
        # What was there before may be what was wrong: begin anew, once.
        await self._receive(Arrival(self._shelf.part(sha256), reference.size_bytes), reference)

    async def _make_room(self, missing_bytes: int) -> None:
        """Evict until so much more fits below the limit and onto the disk.

        Raises:
            OSError: It does not fit onto the disk.
        """
        await self._shrink(self._limit_bytes - missing_bytes)
        if missing_bytes > self._shelf.free_bytes():
            await self._shrink(0)
        if missing_bytes > self._shelf.free_bytes():
            raise OSError(errno.ENOSPC, f"{missing_bytes} bytes do not fit")

    async def _shrink(self, to_bytes: int) -> int:
        is_wanted = self._turns.__contains__
        return await _in_thread(lambda: self._shelf.shrink(max(0, to_bytes), is_wanted))

    @contextmanager
    def _naming_the_disk(self, reference: ArtifactRef) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            folder = self._shelf.folder
            raise DiskFull(
                f"the disk mounted at {disk_of(folder)} has no room for {reference.size_bytes} "
                f"bytes in {folder} ({self._shelf.free_bytes()} are free); free some, "
                "or set GYOZA_WORKER_STATE_DIR to a folder on a larger disk"
            ) from error

    @asynccontextmanager
    async def _turn(self, sha256: str) -> AsyncGenerator[None]:
        turn = self._turns.setdefault(sha256, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if turn.users == 0:
                del self._turns[sha256]


async def _in_thread(work: Callable[[], T]) -> T:
    # Not to be cut off in between: the thread would go on writing beside whoever comes next.
    return await ignoring_cancellation(asyncio.to_thread(work))

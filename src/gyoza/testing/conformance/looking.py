"""Stages that look at an attempt's folders: what is read, how outputs appear, what is left."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar, Final

from gyoza.op import protocol
from gyoza.testing.conformance.evidence import Left
from gyoza.testing.conformance.file_watch import FileWatch
from gyoza.testing.engine import Change, EngineFacts
from gyoza.worker import hostile_files
from gyoza.worker.clock import Clock
from gyoza.worker.event_lines import EventsFile
from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.outputs import read_error

_MOST_EVENT_BYTES: Final = 64 * 1024 * 1024
# What the engine itself makes for mounts, and where an op may write.
_MADE: Final = (
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv"),
    "/sbin/docker-init",
)
_MOUNTED: Final = (protocol.DIR, protocol.HOME, "/dev", "/proc", "/sys")


class WatchFiles:
    """Begins to watch the folders before the container is there."""

    name: ClassVar[str] = "watch_files"
    is_always_entered: ClassVar[bool] = False
    is_interruptible: ClassVar[bool] = False

    def __init__(self) -> None:
        self.watch: FileWatch | None = None

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        folder = context.folder
        read = folder.inner / protocol.INPUT_FILE
        self.watch = FileWatch(read, folder.outer, protocol.OUTPUT_FILE)

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`."""
        if self.watch is not None:
            self.watch.close()


class Examine:
    """Notes what a dead container has left, before outputs are collected.

    Args:
        watching: Has watched since the start.
        engine: Is asked for changes.
        clock: Tells when it ended.
        left: Takes what is seen.
    """

    name: ClassVar[str] = "examine"
    is_always_entered: ClassVar[bool] = True
    is_interruptible: ClassVar[bool] = False

    def __init__(self, watching: WatchFiles, engine: EngineFacts, clock: Clock, left: Left) -> None:
        self._watching = watching
        self._engine = engine
        self._clock = clock
        self._left = left

    async def enter(self, context: ExecutionContext) -> None:
        """See `Stage.enter`."""
        if context.state is None:
            return
        self._left.ended_s = self._clock.monotonic()
        watch = self._watching.watch
        if watch is not None:
            watch.collect()
            self._left.was_input_read = watch.was_read
            self._left.was_output_renamed = watch.was_renamed
        self._left.changes = own_changes(await self._engine.changes(context.container.id))
        await asyncio.to_thread(_look, context.folder.outer, self._left)

    async def exit(self, context: ExecutionContext) -> None:
        """See `Stage.exit`: nothing is held."""


def own_changes(changes: list[Change]) -> list[Change]:
    """The changes that are the op's doing: without mounts, and folders only for their content."""
    kept = [change for change in changes if not _is_made(change.path)]
    paths = [change.path for change in changes]
    return [
        change for change in kept if not any(path.startswith(f"{change.path}/") for path in paths)
    ]


def _is_made(path: str) -> bool:
    return path in _MADE or any(path == each or path.startswith(f"{each}/") for each in _MOUNTED)


def _look(out: Path, left: Left) -> None:
    events = EventsFile(out).finish(_MOST_EVENT_BYTES)
    left.event_lines, left.event_notes = events.lines, events.notes
    left.has_error = read_error(out) is not None
    try:
        with hostile_files.opened_folder(out) as folder:
            left.output_bytes = _size(folder)
            left.refused_files = _refused(folder)
    except hostile_files.Refused as refusal:
        left.refused_files = [str(refusal)]


def _size(folder: int) -> int | None:
    try:
        return os.stat(protocol.OUTPUT_FILE, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return None


def _refused(folder: int) -> list[str]:
    try:
        files = hostile_files.open_subfolder(folder, protocol.FILES)
    except hostile_files.Missing:
        return []
    with hostile_files.closing(files):
        found = hostile_files.walk_files(
            files, max_files=protocol.MAX_FILES, max_levels=protocol.MAX_FILE_LEVELS
        )
    return [
        f"{hostile_files.shown_name(each.path)} {each.refusal}" for each in found if each.refusal
    ]

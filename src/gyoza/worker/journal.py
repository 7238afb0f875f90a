"""What this worker is carrying out, noted so that a successor after a crash can know it.

Append-only lines of JSON: an assignment (with its token, hence the file is closed to others) before
its container is made, the container, how far reports got, the end. What to do about an attempt that
has no end is decided by the agent.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from gyoza.wire import messages, strict_json
from gyoza.wire.messages import Assignment
from gyoza.worker.identity import write_durably

_NAME: Final = "journal.jsonl"
_COMPACT_AT_BYTES: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class Unfinished:
    """An attempt that has begun and, as far as the journal knows, not ended.

    Attributes:
        assignment: As the server gave it.
        container: As `ContainerHandle.to_dict()`; None when none was made.
        cursors: Last numbers of events and logs that may have been sent.
    """

    assignment: Assignment
    container: dict[str, str] | None = None
    cursors: tuple[int, int] = (0, 0)


class Journal:
    """The journal of one state folder; one process at a time.

    Args:
        state_dir: Owned by this process.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _NAME
        self._unfinished = _read(self._path)
        self._descriptor = -1
        self._is_torn = False
        self._compact()

    @property
    def unfinished(self) -> list[Unfinished]:
        """Attempts without an end, oldest first."""
        return list(self._unfinished.values())

    def begin(self, assignment: Assignment) -> None:
        """Note an assignment; durable only after `sync`.

        Raises:
            OSError: It cannot be noted: the disk is full, for example.
        """
        self._append("begin", assignment.run_id, assignment.fence, _assignment(assignment))
        self._unfinished[_key(assignment.run_id, assignment.fence)] = Unfinished(assignment)

    def created(self, run_id: str, fence: int, container: dict[str, str]) -> None:
        """Note the container of an attempt."""
        self._known(run_id, fence).container = container
        self._append("created", run_id, fence, container)

    def reached(self, run_id: str, fence: int, cursors: tuple[int, int]) -> None:
        """Note the last numbers about to be sent, of events and of logs, if that can be noted."""
        if _key(run_id, fence) in self._unfinished:
            self._known(run_id, fence).cursors = cursors
            numbers = {"events": cursors[0], "logs": cursors[1]}
            # A full disk is no reason to keep a result from the server.
            with contextlib.suppress(OSError):
                self._append("reached", run_id, fence, numbers)

    def end(self, run_id: str, fence: int) -> None:
        """Note that nothing is left of an attempt, if that can be noted."""
        if self._unfinished.pop(_key(run_id, fence), None) is not None:
            # Without the note a successor reports it lost, and the server knows better.
            with contextlib.suppress(OSError):
                self._append("end", run_id, fence, {})
                if os.fstat(self._descriptor).st_size > _COMPACT_AT_BYTES:
                    self._compact()

    def sync(self) -> None:
        """Return when all that was noted will survive a power cut; call it off the event loop."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _known(self, run_id: str, fence: int) -> Unfinished:
        return self._unfinished[_key(run_id, fence)]

    def _append(self, kind: str, run_id: str, fence: int, data: dict[str, Any]) -> None:
        # A line that a full disk has cut short must not spoil the next one as well.
        line = b"\n" * self._is_torn + _line(kind, run_id, fence, data)
        self._is_torn = True
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._is_torn = False

    def _compact(self) -> None:
        lines: list[bytes] = []
        for each in self._unfinished.values():
            run_id, fence = each.assignment.run_id, each.assignment.fence
            lines.append(_line("begin", run_id, fence, _assignment(each.assignment)))
            if each.container is not None:
                lines.append(_line("created", run_id, fence, each.container))
            events, logs = each.cursors
            lines.append(_line("reached", run_id, fence, {"events": events, "logs": logs}))
        write_durably(self._path, b"".join(lines))
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def _read(path: Path) -> dict[str, Unfinished]:
    found: dict[str, Unfinished] = {}
    content = path.read_bytes() if path.exists() else b""
    for line in content.splitlines():
        # A crash may have cut the last line short; what it said had not been acted upon yet.
        with contextlib.suppress(strict_json.StrictJsonError, KeyError, TypeError):
            _apply(found, strict_json.loads(line))
    return found


def _apply(found: dict[str, Unfinished], note: dict[str, Any]) -> None:
    key, data = _key(note["run"], note["fence"]), note["data"]
    match note["kind"]:
        case "begin":
            found[key] = Unfinished(messages.convert(data["assignment"], Assignment))
        case "created":
            found[key].container = data
        case "reached":
            found[key].cursors = (data["events"], data["logs"])
        case _:
            found.pop(key, None)


def _assignment(assignment: Assignment) -> dict[str, Any]:
    # Inputs may be large and are in the work folder already.
    slim = msgspec.structs.replace(assignment, inputs={})
    return {"assignment": msgspec.to_builtins(slim)}


def _line(kind: str, run_id: str, fence: int, data: dict[str, Any]) -> bytes:
    note = {"kind": kind, "run": run_id, "fence": fence, "data": data}
    return strict_json.dumps(note) + b"\n"


def _key(run_id: str, fence: int) -> str:
    return f"{run_id}/{fence}"

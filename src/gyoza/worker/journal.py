"""What this worker is carrying out, noted so that a successor after a crash can know it.

Append-only lines of JSON: an assignment (with its token, hence the file is closed to others) before
its container is made, the container, an order to end, what is about to be reported, the end. What
to do about an attempt that has no end is decided in `adoption`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from gyoza.wire import messages, strict_json
from gyoza.wire.messages import Assignment
from gyoza.worker.cursors import NOTHING, Cursors
from gyoza.worker.identity import write_durably

_NAME: Final = "journal.jsonl"
_COMPACT_AT_BYTES: Final = 8 * 1024 * 1024
# Two would do: what was acknowledged last, and what was sent after it. Refused batches make more.
_KEPT_CURSORS: Final = 16


@dataclass(slots=True)
class Unfinished:
    """An attempt that has begun and, as far as the journal knows, not ended.

    Attributes:
        assignment: As the server gave it.
        container: As `ContainerHandle.to_dict()`; None when none was made.
        image: As `ImageInfo.to_dict()`; None when none was found.
        order: As `StopOrder.to_dict()`; None when it was not told to end.
        engine_broke: Another process of the engine has answered since it began.
        cursors: What may have been sent, oldest first; the server says which of it arrived.
    """

    assignment: Assignment
    container: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    order: dict[str, Any] | None = None
    engine_broke: bool = False
    cursors: deque[Cursors] = field(default_factory=lambda: deque([NOTHING], _KEPT_CURSORS))


class Journal:
    """The journal of one state folder; one process at a time.

    Args:
        state_dir: Owned by this process.

    Attributes:
        engine_process: The engine's process that answered last; "" if none was ever noted.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / _NAME
        self._unfinished: dict[str, Unfinished] = {}
        self.engine_process = ""
        self._read()
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

    def created(
        self, run_id: str, fence: int, container: dict[str, Any], image: dict[str, Any] | None
    ) -> None:
        """Note the container of an attempt, and what it was made from."""
        known = self._known(run_id, fence)
        known.container, known.image = container, image
        self._append("created", run_id, fence, {**container, "image": image})

    def stopping(self, run_id: str, fence: int, order: dict[str, Any]) -> None:
        """Note that a container is about to be told to end, if that can be noted."""
        if _key(run_id, fence) in self._unfinished:
            self._known(run_id, fence).order = order
            with contextlib.suppress(OSError):
                self._append("stopping", run_id, fence, order)

    def reached(self, run_id: str, fence: int, cursors: Cursors) -> None:
        """Note what is about to be sent, if that can be noted."""
        if _key(run_id, fence) in self._unfinished:
            self._known(run_id, fence).cursors.append(cursors)
            # A full disk is no reason to keep a result from the server.
            with contextlib.suppress(OSError):
                self._append("reached", run_id, fence, cursors.to_dict())
                self._compact_if_large()

    def engine(self, process: str) -> None:
        """Note which process of the engine answers, if it is another and that can be noted.

        Every attempt that has begun keeps the mark: whoever is asked what ended its container may
        be a later process of the worker, to which the engine's change is no news any more.
        """
        if process != self.engine_process:
            self._engine_is(process)
            with contextlib.suppress(OSError):
                self._append("engine", "", 0, {"process": process})

    def has_seen_another_engine(self, run_id: str, fence: int) -> bool:
        """Whether another process of the engine has answered since an attempt began."""
        key = _key(run_id, fence)
        return key in self._unfinished and self._unfinished[key].engine_broke

    def end(self, run_id: str, fence: int) -> None:
        """Note that nothing is left of an attempt, if that can be noted."""
        if self._unfinished.pop(_key(run_id, fence), None) is not None:
            # Without the note a successor reports it lost, and the server knows better.
            with contextlib.suppress(OSError):
                self._append("end", run_id, fence, {})
                self._compact_if_large()

    def sync(self) -> None:
        """Return when all that was noted will survive a power cut; call it off the event loop."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _engine_is(self, process: str) -> None:
        if self.engine_process:
            for each in self._unfinished.values():
                each.engine_broke = True
        self.engine_process = process

    def _known(self, run_id: str, fence: int) -> Unfinished:
        return self._unfinished[_key(run_id, fence)]

    def _append(self, kind: str, run_id: str, fence: int, data: dict[str, Any]) -> None:
        # A line that a full disk has cut short must not spoil the next one as well.
        line = b"\n" * self._is_torn + _line(kind, run_id, fence, data)
        self._is_torn = True
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._is_torn = False

    def _compact_if_large(self) -> None:
        if os.fstat(self._descriptor).st_size > self._compact_at_bytes:
            self._compact()

    def _compact(self) -> None:
        lines = [_line("engine", "", 0, {"process": self.engine_process})]
        for each in self._unfinished.values():
            lines += _lines_of(each)
        write_durably(self._path, b"".join(lines))
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._is_torn = False
        # Much that is unfinished must not mean compacting at every line.
        self._compact_at_bytes = max(_COMPACT_AT_BYTES, 2 * sum(map(len, lines)))

    def _read(self) -> None:
        content = self._path.read_bytes() if self._path.exists() else b""
        for line in content.splitlines():
            # A crash may have cut the last line short; nothing that it said had been done yet.
            with contextlib.suppress(strict_json.StrictJsonError, KeyError, TypeError, ValueError):
                self._apply(strict_json.loads(line))

    def _apply(self, note: dict[str, Any]) -> None:
        key, data = _key(note["run"], note["fence"]), note["data"]
        match note["kind"]:
            case "begin":
                assignment = messages.convert(data["assignment"], Assignment)
                self._unfinished[key] = Unfinished(assignment)
            case "created":
                self._unfinished[key].image = data.pop("image", None)
                self._unfinished[key].container = data
            case "stopping":
                self._unfinished[key].order = data
            case "reached":
                self._unfinished[key].cursors.append(Cursors.from_dict(data))
            case "engine":
                self._engine_is(data["process"])
            case "engine_broke":
                self._unfinished[key].engine_broke = True
            case _:
                self._unfinished.pop(key, None)


def _lines_of(each: Unfinished) -> list[bytes]:
    run_id, fence = each.assignment.run_id, each.assignment.fence
    notes: list[tuple[str, dict[str, Any]]] = [("begin", _assignment(each.assignment))]
    if each.container is not None:
        notes.append(("created", {**each.container, "image": each.image}))
    if each.order is not None:
        notes.append(("stopping", each.order))
    if each.engine_broke:
        notes.append(("engine_broke", {}))
    notes += [("reached", cursors.to_dict()) for cursors in each.cursors]
    return [_line(kind, run_id, fence, data) for kind, data in notes]


def _assignment(assignment: Assignment) -> dict[str, Any]:
    # Inputs may be large and are in the work folder already.
    slim = msgspec.structs.replace(assignment, inputs={})
    return {"assignment": msgspec.to_builtins(slim)}


def _line(kind: str, run_id: str, fence: int, data: dict[str, Any]) -> bytes:
    note = {"kind": kind, "run": run_id, "fence": fence, "data": data}
    return strict_json.dumps(note) + b"\n"


def _key(run_id: str, fence: int) -> str:
    return f"{run_id}/{fence}"

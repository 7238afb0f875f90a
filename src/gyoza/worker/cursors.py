"""How far an attempt has been told to the server, in the server's numbers and in its own sources.

A note of both is journalled before anything is sent, so that a successor can match the numbers that
the server has with a place in the container's log and in `events.jsonl`, and go on from there:
nothing twice, nothing lost. Values only; what a mark means is known to whoever reads that source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from gyoza.worker.logs import LogMark

M = TypeVar("M")


class Place(NamedTuple, Generic[M]):
    """Where something that waits to be sent came from.

    Attributes:
        order: Grows with every place that an attempt has noted.
        mark: The source behind it; None if it came from no source.
    """

    order: int
    mark: M | None


NOWHERE: Final = Place[Any](0, None)


@dataclass(frozen=True, slots=True)
class EventMark:
    """A place in an op's `events.jsonl`, and what was made of all before it.

    Attributes:
        offset: Bytes of complete lines read.
        inode: Of the file, so that one put in its place later is not taken for it; 0: none yet.
        taken: Events that counted against the cap.
        dropped: Events over the cap that no mark has told of yet.
        noted: Complaints already made about the file.
    """

    offset: int = 0
    inode: int = 0
    taken: int = 0
    dropped: int = 0
    noted: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for the journal."""
        return {
            "offset": self.offset,
            "inode": self.inode,
            "taken": self.taken,
            "dropped": self.dropped,
            "noted": list(self.noted),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EventMark:
        """The inverse of `to_dict`.

        Raises:
            KeyError: A member is missing.
        """
        return cls(
            data["offset"],
            data["inode"],
            data["taken"],
            data["dropped"],
            tuple(data["noted"]),
        )


@dataclass(frozen=True, slots=True)
class Cursors:
    """The last numbers given, and what they stand for.

    Attributes:
        events: Number of the last event that may have been sent; 0 before the first.
        logs: The same of pieces of log.
        event_mark: What those events cover; None until STARTED is among them.
        log_mark: What those pieces cover; None for nothing.
    """

    events: int = 0
    logs: int = 0
    event_mark: EventMark | None = None
    log_mark: LogMark | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for the journal."""
        return {
            "events": self.events,
            "logs": self.logs,
            "event_mark": None if self.event_mark is None else self.event_mark.to_dict(),
            "log_mark": None if self.log_mark is None else self.log_mark.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Cursors:
        """The inverse of `to_dict`.

        Raises:
            KeyError: A member is missing.
            TypeError: One has another form.
        """
        events, logs = data.get("event_mark"), data.get("log_mark")
        return cls(
            data["events"],
            data["logs"],
            None if events is None else EventMark.from_dict(events),
            None if logs is None else LogMark.from_dict(logs),
        )


NOTHING: Final = Cursors()
"""Before anything was sent."""

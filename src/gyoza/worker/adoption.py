"""What becomes of the containers that an earlier process of this worker left. Nearly pure.

Three know something of each: the engine has the container, the journal what was asked for and how
far it was told, the server whether it is still wanted and what it has got. Put together here, acted
upon in `leftovers` and by the agent.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gyoza.wire.messages import Assignment, Verdict
from gyoza.worker.cursors import NOTHING, Cursors, EventMark
from gyoza.worker.event_lines import end_of
from gyoza.worker.execution.labels import LABEL
from gyoza.worker.execution.resumed import Resumed
from gyoza.worker.execution.stop import StopKind, StopOrder
from gyoza.worker.execution.workdir import WorkFolder
from gyoza.worker.journal import Unfinished
from gyoza.worker.logs import LogMark
from gyoza.worker.runtime.interface import (
    ImageInfo,
    LogPosition,
    ManagedContainer,
    StreamPosition,
)

_ENDS_WITH_ITS_PROCESS: Final = (StopKind.SHUTDOWN, StopKind.DISCARD)

Key = tuple[str, int]
"""Run id and fence: what names an attempt in somebody's hands."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """An attempt to go on with."""

    assignment: Assignment
    resumed: Resumed


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of each container.

    Attributes:
        adopted: Go on with these.
        removed: Remove these, and report nothing.
        limbo: Leave these alone and ask again.
    """

    adopted: list[Adoption] = field(default_factory=list[Adoption])
    removed: list[ManagedContainer] = field(default_factory=list[ManagedContainer])
    limbo: list[ManagedContainer] = field(default_factory=list[ManagedContainer])


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What this worker knows besides the containers.

    Attributes:
        unfinished: The journal's attempts without an end.
        state_dir: Where work folders are.
        boot_id: Of the machine now.
        now_ns: Nanoseconds since 1970.
    """

    unfinished: Mapping[Key, Unfinished]
    state_dir: Path
    boot_id: str
    now_ns: int


def key_of(container: ManagedContainer) -> Key:
    """The attempt that a container is for, by its labels."""
    return container.labels.get(f"{LABEL}run", ""), number_of(container, "fence")


def number_of(container: ManagedContainer, label: str) -> int:
    """A number among a container's labels; 0 if there is none."""
    text = container.labels.get(f"{LABEL}{label}", "")
    return int(text) if text.isdecimal() else 0


def settle(
    found: Iterable[ManagedContainer],
    verdicts: Iterable[Verdict],
    held: Container[Key],
    known: Known,
) -> Settlement:
    """Decide about every container that this process does not hold already.

    One without a verdict, or to be taken over without anyone knowing what it was for, is left
    alone: the next registration asks again.
    """
    by_name = {verdict.name: verdict for verdict in verdicts}
    settlement = Settlement()
    for container in found:
        if key_of(container) in held:
            continue
        verdict = by_name.get(container.handle.name)
        adoption = None if verdict is None else _adoption(container, verdict, known)
        if adoption is not None:
            settlement.adopted.append(adoption)
        elif verdict is not None and verdict.verdict == "STOP":
            settlement.removed.append(container)
        else:
            settlement.limbo.append(container)
    return settlement


def _adoption(container: ManagedContainer, verdict: Verdict, known: Known) -> Adoption | None:
    if verdict.verdict not in ("ADOPT", "FINISH"):
        return None
    noted = known.unfinished.get(key_of(container))
    assignment = verdict.assignment or (noted and noted.assignment)
    if not assignment:
        return None
    logs = _noted(noted, "logs", verdict.next_log_seq - 1)
    events = _noted(noted, "events", verdict.next_event_seq - 1)
    boot_id = container.labels.get(f"{LABEL}boot", known.boot_id)
    resumed = Resumed(
        handle=container.handle,
        state=container.state,
        past=Cursors(
            verdict.next_event_seq - 1,
            verdict.next_log_seq - 1,
            _end_of_events(assignment, known) if events is None else events.event_mark,
            _end_of_logs(known) if logs is None else logs.log_mark,
        ),
        lost_logs=logs is None,
        lost_events=events is None,
        order=_order(container, noted),
        image=ImageInfo.from_dict(noted.image) if noted and noted.image else None,
        engine_broke=(noted is not None and noted.engine_broke) or boot_id != known.boot_id,
    )
    return Adoption(assignment, resumed)


def _noted(noted: Unfinished | None, stream: str, number: int) -> Cursors | None:
    """What was noted of the last number that the server has; None if nothing was.

    The latest note counts: numbers that the server refused have been given again.
    """
    notes = [NOTHING] if noted is None else noted.cursors
    return next((each for each in reversed(notes) if getattr(each, stream) == number), None)


def _end_of_events(assignment: Assignment, known: Known) -> EventMark:
    folder = WorkFolder.of(known.state_dir, assignment.run_id, assignment.attempt, assignment.fence)
    return end_of(folder.outer)


def _end_of_logs(known: Known) -> LogMark:
    now = StreamPosition(known.now_ns, 0, ends_line=True)
    return LogMark.at(LogPosition(now, now))


def _order(container: ManagedContainer, noted: Unfinished | None) -> StopOrder | None:
    if noted is None or noted.order is None:
        return None
    order = StopOrder.from_dict(noted.order)
    # That the process before was ending is no reason to end what has outlived it.
    if order.kind in _ENDS_WITH_ITS_PROCESS and not container.state.has_ended:
        return None
    return order

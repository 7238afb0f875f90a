"""The life of a run as one table, and the only functions that answer questions about it.

Everything that changes a state asks ``next_state`` first; SQL guards what was decided here and
decides nothing itself. No I/O, no clock, no aggregate in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType

from gyoza.models.resources import EventType, OpRunState


class OpRunLockedException(Exception):
    """Raised when trying to modify a terminal-state OpRun."""


class Trigger(str, Enum):
    """What can happen to a run."""

    ASSIGN = "ASSIGN"
    RELEASE = "RELEASE"
    START = "START"
    PROGRESS = "PROGRESS"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    CANCEL = "CANCEL"
    RETRY = "RETRY"
    RECORD = "RECORD"


_ENDS = {Trigger.FAIL: OpRunState.FAILED, Trigger.CANCEL: OpRunState.CANCELLED}
_AGAIN = {Trigger.RETRY: OpRunState.PENDING}

_ROWS: dict[OpRunState, dict[Trigger, OpRunState]] = {
    OpRunState.PENDING: {
        Trigger.ASSIGN: OpRunState.ASSIGNED,
        Trigger.RECORD: OpRunState.PENDING,
        **_ENDS,
        **_AGAIN,
    },
    OpRunState.ASSIGNED: {
        Trigger.RELEASE: OpRunState.PENDING,
        Trigger.START: OpRunState.RUNNING,
        Trigger.PROGRESS: OpRunState.ASSIGNED,
        Trigger.RECORD: OpRunState.ASSIGNED,
        Trigger.COMPLETE: OpRunState.COMPLETED,
        **_ENDS,
        **_AGAIN,
    },
    OpRunState.RUNNING: {
        Trigger.PROGRESS: OpRunState.RUNNING,
        Trigger.RECORD: OpRunState.RUNNING,
        Trigger.COMPLETE: OpRunState.COMPLETED,
        **_ENDS,
        **_AGAIN,
    },
    OpRunState.COMPLETED: {**_AGAIN},
    OpRunState.FAILED: {**_AGAIN},
    OpRunState.CANCELLED: {**_AGAIN},
}

TABLE: Mapping[OpRunState, Mapping[Trigger, OpRunState]] = MappingProxyType(
    {state: MappingProxyType(row) for state, row in _ROWS.items()}
)
"""What each state takes, and which state follows; what is not here is refused."""

_TERMINAL = frozenset(state for state, row in TABLE.items() if set(row) == {Trigger.RETRY})

_TRIGGERS: Mapping[EventType, Trigger] = MappingProxyType(
    {
        EventType.ASSIGNED: Trigger.ASSIGN,
        EventType.RELEASED: Trigger.RELEASE,
        EventType.STARTED: Trigger.START,
        EventType.PROGRESS: Trigger.PROGRESS,
        EventType.INFO: Trigger.RECORD,
        EventType.ERROR: Trigger.RECORD,
        EventType.COMPLETED: Trigger.COMPLETE,
        EventType.FAILED: Trigger.FAIL,
        EventType.CANCELLED: Trigger.CANCEL,
        EventType.RETRIED: Trigger.RETRY,
    }
)


def next_state(state: OpRunState, trigger: Trigger) -> OpRunState:
    """Return the state a run is in after the trigger; for some it is the same state.

    Raises:
        OpRunLockedException: The state is terminal and the trigger is no retry.
        ValueError: The state is not terminal but does not take the trigger.
    """
    following = TABLE[state].get(trigger)
    if following is not None:
        return following
    if is_terminal(state):
        raise OpRunLockedException(
            f"the run is {state.value} and takes no {trigger.value}; only a retry opens it again"
        )
    takers = ", ".join(each.value for each in OpRunState if trigger in TABLE[each])
    raise ValueError(f"the run is {state.value}; {trigger.value} is possible only from {takers}")


def is_terminal(state: OpRunState) -> bool:
    """Return whether nothing but a retry leads on from the state."""
    return state in _TERMINAL


def trigger_of(event_type: EventType) -> Trigger:
    """Return what an event of the type does to a run."""
    return _TRIGGERS[event_type]


def replay(events: Iterable[EventType]) -> OpRunState:
    """Return the state that a new run has after the events, given in their order.

    Raises:
        OpRunLockedException: An event other than RETRIED follows a terminal one.
        ValueError: An event does not fit the state before it.
    """
    state = OpRunState.PENDING
    for event_type in events:
        state = next_state(state, trigger_of(event_type))
    return state


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the architecture pages."""
    lines = ["stateDiagram-v2", "    [*] --> PENDING"]
    for state, row in TABLE.items():
        for target in dict.fromkeys(row.values()):
            causes = ", ".join(each.value for each in row if row[each] is target)
            lines.append(f"    {state.value} --> {target.value}: {causes}")
    lines += [f"    {state.value} --> [*]" for state in TABLE if is_terminal(state)]
    return "\n".join(lines)

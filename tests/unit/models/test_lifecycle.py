from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.models.lifecycle import (
    TABLE,
    OpRunLockedException,
    Trigger,
    diagram,
    is_terminal,
    next_state,
    replay,
    trigger_of,
)
from gyoza.models.resources import EventType, OpRunState

# Rows are states, columns are triggers. "." is a ValueError, "locked" an OpRunLockedException.
EXPECTED = """
           ASSIGN    RELEASE  START    PROGRESS  RECORD    COMPLETE   FAIL    CANCEL     RETRY
PENDING    ASSIGNED  .        .        .         PENDING   .          FAILED  CANCELLED  PENDING
ASSIGNED   .         PENDING  RUNNING  ASSIGNED  ASSIGNED  COMPLETED  FAILED  CANCELLED  PENDING
RUNNING    .         .        .        RUNNING   RUNNING   COMPLETED  FAILED  CANCELLED  PENDING
COMPLETED  locked    locked   locked   locked    locked    locked     locked  locked     PENDING
FAILED     locked    locked   locked   locked    locked    locked     locked  locked     PENDING
CANCELLED  locked    locked   locked   locked    locked    locked     locked  locked     PENDING
"""


def _cells() -> list[tuple[str, str, str]]:
    head, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    return [
        (row[0], trigger, cell) for row in rows for trigger, cell in zip(head, row[1:], strict=True)
    ]


@pytest.mark.parametrize(("state", "trigger", "expected"), _cells())
def test_every_state_answers_every_trigger_as_the_table_says(
    state: str, trigger: str, expected: str
) -> None:
    if expected == "locked":
        with pytest.raises(OpRunLockedException, match=state):
            next_state(OpRunState(state), Trigger(trigger))
    elif expected == ".":
        with pytest.raises(ValueError, match=f"is {state}; {trigger} is possible only from"):
            next_state(OpRunState(state), Trigger(trigger))
    else:
        assert next_state(OpRunState(state), Trigger(trigger)) is OpRunState(expected)


def test_the_expected_table_names_every_state_and_trigger() -> None:
    named = {(state, trigger) for state, trigger, _ in _cells()}

    assert named == {(state.value, trigger.value) for state in OpRunState for trigger in Trigger}


@pytest.mark.parametrize("state", OpRunState)
def test_completed_failed_and_cancelled_are_the_terminal_states(state: OpRunState) -> None:
    assert is_terminal(state) == (state.value in {"COMPLETED", "FAILED", "CANCELLED"})


def test_every_event_type_has_a_trigger() -> None:
    assert {trigger_of(kind) for kind in EventType} == set(Trigger)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TABLE[OpRunState.PENDING] = {}  # pyright: ignore[reportIndexIssue]
    with pytest.raises(TypeError):
        TABLE[OpRunState.FAILED][Trigger.START] = OpRunState.RUNNING  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize(
    ("story", "state"),
    [
        ("", "PENDING"),
        ("ASSIGNED", "ASSIGNED"),
        ("ASSIGNED RELEASED", "PENDING"),
        ("INFO ASSIGNED PROGRESS STARTED PROGRESS ERROR", "RUNNING"),
        ("ASSIGNED STARTED COMPLETED", "COMPLETED"),
        ("ASSIGNED FAILED RETRIED ASSIGNED", "ASSIGNED"),
        ("CANCELLED", "CANCELLED"),
    ],
)
def test_replaying_events_arrives_at_the_state_they_lead_to(story: str, state: str) -> None:
    assert replay(EventType(word) for word in story.split()) is OpRunState(state)


def test_replaying_an_impossible_history_is_refused() -> None:
    with pytest.raises(ValueError, match="START is possible only from ASSIGNED"):
        replay([EventType.STARTED])
    with pytest.raises(OpRunLockedException, match="CANCELLED"):
        replay([EventType.CANCELLED, EventType.INFO])


def test_the_documented_diagram_is_the_one_made_from_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "architecture" / "run-lifecycle.md"

    drawn = page.read_text("utf-8").split("```mermaid\n")[1].split("\n```")[0]

    assert drawn == diagram()

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from gyoza.wire.messages import Assignment, Verdict
from gyoza.worker.adoption import Known, Settlement, settle
from gyoza.worker.cursors import NOTHING, Cursors, EventMark
from gyoza.worker.journal import Unfinished
from gyoza.worker.logs import LogMark
from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerState,
    LogPosition,
    ManagedContainer,
)

KEY = ("run_1", 3)
NAME = "gyoza-run_1-1-3"


def a_container(status: Any = "running", boot: str = "boot") -> ManagedContainer:
    labels = {"run": "run_1", "attempt": "1", "fence": "3", "boot": boot}
    return ManagedContainer(
        ContainerHandle("c1", NAME),
        {f"org.gyoza.{name}": value for name, value in labels.items()},
        ContainerState(status),
    )


def an_assignment() -> Assignment:
    return Assignment(
        run_id="run_1",
        attempt=1,
        fence=3,
        token="t",
        image="op:1",
        inputs={},
        granted={},
        execution={},
    )


def reached(number: int, place: int) -> Cursors:
    mark = LogMark.at(LogPosition())._replace(skip=place)
    return Cursors(number, number, EventMark(offset=place), mark)


def settled(
    tmp_path: Path,
    verdict: Verdict | None,
    notes: list[Cursors] | None = None,
    container: ManagedContainer | None = None,
    **changes: Any,
) -> Settlement:
    unfinished = {}
    if notes is not None:
        noted = Unfinished(
            an_assignment(),
            order=changes.pop("order", None),
            engine_broke=changes.pop("engine_broke", False),
            cursors=deque([NOTHING, *notes]),
        )
        unfinished = {KEY: noted}
    known: dict[str, Any] = {
        "unfinished": unfinished,
        "state_dir": tmp_path,
        "boot_id": "boot",
        "now_ns": 5,
    }
    verdicts = [] if verdict is None else [verdict]
    return settle([container or a_container()], verdicts, set(), Known(**(known | changes)))


def adopt(next_seq: int, assignment: Assignment | None = None) -> Verdict:
    return Verdict(
        name=NAME,
        verdict="ADOPT",
        assignment=assignment,
        next_event_seq=next_seq,
        next_log_seq=next_seq,
    )


@pytest.mark.parametrize(
    ("next_seq", "place"),
    [(1, None), (5, 40), (8, 71)],
    ids=["nothing arrived", "the last was lost on its way", "numbers given twice"],
)
def test_reading_goes_on_behind_what_the_server_has(
    tmp_path: Path, next_seq: int, place: int | None
) -> None:
    notes = [reached(4, 40), reached(7, 70), reached(7, 71)]

    (found,) = settled(tmp_path, adopt(next_seq), notes).adopted

    past = found.resumed.past
    assert (past.events, past.logs) == (next_seq - 1, next_seq - 1)
    assert (past.event_mark and past.event_mark.offset) == place
    assert (past.log_mark and past.log_mark.skip) == place
    assert not found.resumed.lost_logs


def test_a_number_that_nobody_noted_is_a_gap_and_not_a_guess(tmp_path: Path) -> None:
    (found,) = settled(tmp_path, adopt(6, an_assignment()), [reached(4, 40)]).adopted

    assert (found.resumed.lost_logs, found.resumed.lost_events) == (True, True)
    assert found.resumed.past.log_mark is not None
    assert found.resumed.past.log_mark.position.stdout is not None
    assert found.resumed.past.log_mark.position.stdout.t_ns == 5


@pytest.mark.parametrize(
    "verdict",
    [None, Verdict(name=NAME, verdict="LIMBO"), adopt(1)],
    ids=["no verdict", "limbo", "nobody knows what it was for"],
)
def test_what_is_not_decided_is_left_alone(tmp_path: Path, verdict: Verdict | None) -> None:
    settlement = settled(tmp_path, verdict)

    assert settlement == Settlement(limbo=[a_container()])


def test_what_is_to_stop_is_removed_whatever_the_journal_says(tmp_path: Path) -> None:
    settlement = settled(tmp_path, Verdict(name=NAME, verdict="STOP"), [reached(1, 1)])

    assert settlement == Settlement(removed=[a_container()])


def test_the_end_of_the_process_before_is_no_reason_to_end_what_has_outlived_it(
    tmp_path: Path,
) -> None:
    order = {"kind": "SHUTDOWN", "message": ""}

    (alive,) = settled(tmp_path, adopt(1), [], order=order).adopted
    (dead,) = settled(tmp_path, adopt(1), [], a_container("exited"), order=order).adopted

    assert alive.resumed.order is None
    assert dead.resumed.order is not None


def test_an_attempt_whose_engine_was_another_meanwhile_knows_it(tmp_path: Path) -> None:
    (found,) = settled(tmp_path, adopt(1), [], a_container("exited"), engine_broke=True).adopted

    assert found.resumed.engine_broke


def test_a_container_of_another_boot_was_ended_by_the_machine(tmp_path: Path) -> None:
    (found,) = settled(tmp_path, adopt(1), [], a_container("exited", boot="before")).adopted

    assert found.resumed.engine_broke

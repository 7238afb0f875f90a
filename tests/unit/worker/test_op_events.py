from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza.worker.op_events import EVENTS_AT_ONCE, OpEvent, OpEvents, parse


def test_progress_is_taken_as_a_whole_percentage() -> None:
    assert parse(b'{"type": "progress", "msg": 40.7}') == OpEvent("PROGRESS", 40)


def test_a_metric_is_an_info_that_says_its_kind() -> None:
    event = parse(b'{"type": "metric", "name": "loss", "value": 0.1}')

    assert event == OpEvent("INFO", "loss", {"name": "loss", "value": 0.1, "kind": "metric"})


@pytest.mark.parametrize("kind", ["COMPLETED", "FAILED", "CANCELLED", "STARTED", "assigned"])
def test_an_op_cannot_say_how_its_run_ends(kind: str) -> None:
    event = parse(f'{{"type": "{kind}", "msg": "x"}}'.encode())

    assert event.type == "ERROR"
    assert kind in str(event.msg)


@pytest.mark.parametrize("msg", ["101", "-1", "true", '"40"', "null"])
def test_progress_outside_its_range_is_refused(msg: str) -> None:
    assert parse(f'{{"type": "progress", "msg": {msg}}}'.encode()).type == "ERROR"


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"\xff", b'{"type": NaN}', b'{"type": "info", "x": ' + b"[" * 60]
)
def test_a_line_that_is_no_event_becomes_an_error_that_says_why(line: bytes) -> None:
    assert parse(line).type == "ERROR"


@given(st.binary(max_size=200))
def test_no_line_whatever_it_holds_raises(line: bytes) -> None:
    assert parse(line).type in ("PROGRESS", "INFO", "ERROR")


def test_a_flood_of_events_is_cut_and_marked() -> None:
    events = OpEvents(now_s=0)
    flood = [b'{"type": "info", "msg": "x"}'] * (EVENTS_AT_ONCE + 50)

    taken = events.take(flood, now_s=0)
    mark = events.finish()

    assert len(taken) == EVENTS_AT_ONCE
    assert mark[0].payload == {"dropped": 50}


def test_progress_passes_through_any_flood() -> None:
    events = OpEvents(now_s=0)
    flood = [b'{"type": "info", "msg": "x"}'] * (EVENTS_AT_ONCE + 50)

    taken = events.take([*flood, b'{"type": "progress", "msg": 100}'], now_s=0)

    assert taken[-1] == OpEvent("PROGRESS", 100)


def test_what_came_while_nobody_read_is_no_flood() -> None:
    lines = [b'{"type": "info", "msg": "%d"}' % n for n in range(1000)]

    found = OpEvents(0, age_s=10, taken=100).take(lines, 0)

    assert len(found) == 900

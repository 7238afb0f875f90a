from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gyoza.wire.messages import ReportAnswer, ReportItem, Result
from gyoza.worker.cursors import Cursors, EventMark
from gyoza.worker.logs import LogMark
from gyoza.worker.runtime.interface import LogPosition
from gyoza.worker.spool import MAX_WAITING_LOG_BYTES, Spool

MARK = LogMark.at(LogPosition())


def a_spool() -> Spool:
    return Spool("run_1", 1, "token")


def a_result(**changes: Any) -> Result:
    return Result(**({"outcome": "COMPLETED", "finished_at_us": 1, "outputs": {"n": 1}} | changes))


def a_gap(events: int | None = None, logs: int | None = None) -> ReportAnswer:
    return ReportAnswer(
        run_id="run_1", fence=1, status="GAP", expected_event_seq=events, expected_log_seq=logs
    )


def drain(spool: Spool) -> list[ReportItem]:
    items: list[ReportItem] = []
    while not spool.is_empty:
        items.append(spool.next_item())
        spool.acknowledge(items[-1])
    return items


def test_what_was_not_acknowledged_is_sent_again_with_the_same_numbers() -> None:
    spool = a_spool()
    spool.add_event("INFO", "one", {}, 1)
    spool.add_log("stdout", "a\n", 1)

    first = spool.next_item()
    spool.add_event("INFO", "two", {}, 2)
    again = spool.next_item()

    assert (again.events, again.logs) == (first.events, first.logs)


def test_only_the_latest_progress_is_sent() -> None:
    spool = a_spool()
    for percent in (10, 20, 30):
        spool.add_event("PROGRESS", percent, {}, percent)

    (item,) = drain(spool)

    assert [(event.seq, event.msg) for event in item.events] == [(1, 30)]


def test_small_pieces_of_one_stream_travel_together() -> None:
    spool = a_spool()
    for stream in ("stdout", "stdout", "stderr", "stdout"):
        spool.add_log(stream, "x", 1)

    (item,) = drain(spool)

    assert [(log.seq, log.stream, log.text) for log in item.logs] == [
        (1, "stdout", "xx"),
        (2, "stderr", "x"),
        (3, "stdout", "x"),
    ]


def test_a_result_travels_with_the_last_of_the_rest_and_never_before() -> None:
    spool = a_spool()
    for number in range(100):
        spool.add_log("stdout", f"{number:016384}", 1)
    spool.set_result(a_result())

    items = drain(spool)

    assert len(items) > 1
    assert [item.result is not None for item in items] == [False] * (len(items) - 1) + [True]
    assert [log.seq for item in items for log in item.logs] == list(
        range(1, sum(len(item.logs) for item in items) + 1)
    )


def test_logs_are_bounded_while_the_server_is_away_and_the_rest_is_not_dropped() -> None:
    spool = a_spool()
    spool.add_event("STARTED", "container started", {}, 1)
    for number in range(1000):
        spool.add_log("stdout", f"{number:010000}\n", 1)
    spool.set_result(a_result())

    items = drain(spool)

    text = "".join(log.text for item in items for log in item.logs)
    assert len(text) <= MAX_WAITING_LOG_BYTES + 1000
    assert text.startswith("[gyoza: ")
    assert text.endswith("999\n")
    assert items[0].events[0].type == "STARTED"
    assert items[-1].result is not None


def test_events_that_flood_while_the_server_is_away_leave_the_start_and_a_mark() -> None:
    spool = a_spool()
    spool.add_event("STARTED", "container started", {}, 1)
    for _ in range(100):
        spool.add_event("INFO", "x" * 60_000, {}, 1)

    events = [event for item in drain(spool) for event in item.events]

    assert [event.type for event in events[:2]] == ["INFO", "STARTED"]
    assert "dropped" in str(events[0].msg)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_a_gap_is_filled_from_the_number_expected() -> None:
    spool = a_spool()
    spool.add_event("INFO", "one", {}, 1)
    spool.add_event("INFO", "two", {}, 1)
    spool.next_item()

    spool.resume(a_gap(events=2))

    assert [(event.seq, event.msg) for event in spool.next_item().events] == [(2, "two")]


def test_a_server_that_lost_what_it_had_is_told_the_rest_under_the_numbers_it_expects() -> None:
    spool = a_spool()
    spool.add_event("INFO", "one", {}, 1)
    spool.acknowledge(spool.next_item())
    spool.add_event("INFO", "two", {}, 1)
    spool.next_item()

    spool.resume(a_gap(events=1, logs=1))

    assert [(event.seq, event.msg) for event in spool.next_item().events] == [(1, "two")]


def test_a_server_that_finds_a_gap_every_time_is_not_asked_without_a_pause() -> None:
    spool = a_spool()
    spool.set_result(a_result())

    urgency: list[bool] = []
    for _ in range(3):
        spool.next_item()
        spool.resume(a_gap(events=1))
        urgency.append(spool.is_urgent)

    assert urgency == [True, False, False]


def test_a_refused_result_gets_barer_until_it_is_given_up() -> None:
    spool = a_spool()
    spool.set_result(a_result())

    results: list[Result] = []
    while not spool.is_hopeless:
        item = spool.next_item()
        spool.give_way(item, "no", 2)
        if item.result is not None:
            results.append(item.result)

    assert [result.reason for result in results] == [
        None,
        "OUTPUT_INVALID",
        "OUTPUT_INVALID",
        *["WORKER_ERROR"] * 3,
    ]
    assert results[1].outputs == {}


def test_a_phase_set_while_another_is_on_its_way_is_sent_too() -> None:
    spool = a_spool()
    spool.set_phase("PULLING")
    item = spool.next_item()
    spool.set_phase("STARTING")

    spool.acknowledge(item)

    assert spool.next_item().phase == "STARTING"


@given(st.lists(st.sampled_from(["info", "log", "send", "ack", "lose"]), max_size=60))
def test_whatever_is_lost_on_its_way_the_server_sees_numbers_without_gaps(
    steps: list[str],
) -> None:
    spool = a_spool()
    events: list[int] = []
    logs: list[int] = []
    for number, step in enumerate(steps):
        match step:
            case "info":
                spool.add_event("INFO", str(number), {}, 1)
            case "log":
                spool.add_log("stdout" if number % 2 else "stderr", str(number), 1)
            case _:
                item = spool.next_item()
                events += [each.seq for each in item.events if each.seq > len(events)]
                logs += [each.seq for each in item.logs if each.seq > len(logs)]
                if step != "lose":
                    spool.acknowledge(item)

    assert events == list(range(1, len(events) + 1))
    assert logs == list(range(1, len(logs) + 1))


def test_what_is_about_to_be_sent_is_told_with_the_place_it_comes_from_and_only_once() -> None:
    spool = a_spool()
    spool.add_event("INFO", "one", {}, 1, mark=EventMark(offset=10))
    spool.add_log("stdout", "a", 1, MARK)

    spool.next_item()
    told, again = spool.new_cursors(), spool.new_cursors()

    assert told == Cursors(1, 1, EventMark(offset=10), MARK)
    assert again is None


def test_what_comes_from_no_source_moves_no_place() -> None:
    spool = a_spool()
    spool.add_event("INFO", "from the op", {}, 1, mark=EventMark(offset=10))
    spool.add_event("ERROR", "from the worker", {}, 1)

    spool.next_item()

    assert spool.new_cursors() == Cursors(2, 0, EventMark(offset=10), None)


def test_events_of_one_look_travel_as_one_so_that_their_place_is_behind_them_all() -> None:
    spool = a_spool()
    large = "x" * 200_000
    for number in range(3):
        mark = EventMark(offset=10)
        spool.add_event("INFO", large, {}, 1, mark=mark, may_end=number == 2)
    spool.add_event("INFO", "the next look", {}, 1, mark=EventMark(offset=20))

    first, second = drain(spool)

    assert [len(each.events) for each in (first, second)] == [3, 1]


def test_progress_is_never_left_behind_by_what_was_read_after_it() -> None:
    spool = a_spool()
    spool.add_event("PROGRESS", 50, {}, 1, mark=EventMark(offset=10))
    for offset in (20, 30):
        spool.add_event("INFO", "x" * 200_000, {}, 1, mark=EventMark(offset=offset))

    item = spool.next_item()

    assert [event.type for event in item.events] == ["INFO", "PROGRESS"]
    assert spool.new_cursors() == Cursors(2, 0, EventMark(offset=20), None)


def test_what_was_dropped_for_want_of_room_is_behind_its_mark() -> None:
    spool = a_spool()
    places = [MARK._replace(skip=number) for number in range(80)]
    for place in places:
        spool.add_log("stdout", "x" * 16_000, 1, place)

    item = spool.next_item()
    told = spool.new_cursors()
    dropped = int(item.logs[0].text.split()[1]) // 16_000

    assert told is not None
    assert told.log_mark == places[dropped + len(item.logs) - 2]


def test_a_successor_numbers_on_from_what_the_server_has() -> None:
    spool = Spool("run_1", 1, "token", Cursors(7, 9, EventMark(offset=10), MARK))
    spool.add_event("INFO", "next", {}, 1)
    spool.add_log("stdout", "a", 1)

    item = spool.next_item()

    assert (item.events[0].seq, item.logs[0].seq) == (8, 10)
    assert spool.new_cursors() == Cursors(8, 10, EventMark(offset=10), MARK)

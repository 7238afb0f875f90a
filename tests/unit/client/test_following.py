from __future__ import annotations

import json
from typing import Any

import pytest

from gyoza.client import _following
from gyoza.client._effects import Answer, Emit, NextChunk, Now, Open, Send, Sleep
from gyoza.client.errors import (
    ConnectFailed,
    ConnectionLost,
    NotFound,
    RunCancelled,
    RunFailed,
    TimedOut,
    WaitTimeout,
)
from gyoza.models import OpRun
from gyoza.wire import strict_json
from tests.support.run_documents import (
    RUN_ID,
    a_cancelled_run,
    a_completed_run,
    a_failed_run,
    a_run,
    a_running_run,
)
from tests.unit.client.hand_feeding import STEADY, Fed, json_answer, problem

OPENED = Answer(200)
END = b"event: end\ndata: {}\n\n"
HEARTBEAT = b": still here\n\n"


def event(number: int) -> bytes:
    item = {"number": number, "attempt": 1, "t": "", "type": "INFO", "msg": str(number)}
    return f"event: INFO\nid: {number}\ndata: {json.dumps(item)}\n\n".encode()


def document(run: OpRun) -> Answer:
    return json_answer(run.to_dict())


def last_event_id(effect: object) -> str | None:
    assert isinstance(effect, Open)
    return effect.request.headers.get("Last-Event-ID")


def test_a_run_that_is_over_is_returned_without_opening_a_stream() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))

    fed.give(document(a_completed_run()))

    assert fed.result.state.value == "COMPLETED"


def test_the_end_of_the_stream_brings_the_run_itself() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))
    fed.give(OPENED)

    fed.give(b"event: end\ndata: " + strict_json.dumps(a_completed_run().to_dict()) + b"\n\n")

    assert fed.result.outputs == {"words": 2}


def test_an_end_that_says_no_more_makes_the_wait_look_at_the_run() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))

    assert isinstance(fed.give(document(a_running_run())), Open)
    assert isinstance(fed.give(OPENED), NextChunk)
    assert isinstance(fed.give(END), Send)
    fed.give(document(a_completed_run()))

    assert fed.result.outputs == {"words": 2}


def test_a_run_that_was_retried_meanwhile_is_followed_on() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))
    fed.give(OPENED)
    fed.give(END)

    again = fed.give(document(a_run()))

    assert isinstance(again, Open)


def test_a_restarting_server_is_waited_for_and_the_stream_resumed_by_its_last_id() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))
    fed.give(OPENED)
    fed.give(event(4))

    assert isinstance(fed.give(ConnectionLost("reset")), Now)
    assert fed.give(100.0) == Sleep(0.75)
    assert last_event_id(fed.give(None)) == "4"
    assert isinstance(fed.give(ConnectFailed("refused")), Now)
    assert isinstance(fed.give(101.0), Sleep)
    assert last_event_id(fed.give(None)) == "4"
    fed.give(OPENED)
    fed.give(END)
    fed.give(document(a_completed_run()))

    assert fed.result.is_terminal


def test_a_stream_that_ends_without_saying_end_is_resumed_after_a_pause() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))
    fed.give(OPENED)

    assert isinstance(fed.give(None), Now)
    assert isinstance(fed.give(5.0), Sleep)
    assert isinstance(fed.give(None), Open)


def test_a_long_silence_reopens_the_stream_without_counting_as_trouble() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))
    fed.give(OPENED)

    assert isinstance(fed.give(TimedOut("silent")), Open)


def test_patience_with_an_absent_server_ends() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))

    fed.give(ConnectFailed("refused"))
    fed.give(0.0)
    fed.give(None)
    fed.give(ConnectFailed("refused"))
    with pytest.raises(ConnectFailed):
        fed.give(STEADY.patience_s + 1)


def test_a_run_that_is_gone_ends_the_wait_at_once() -> None:
    fed = Fed(_following.wait(RUN_ID, None, STEADY))
    fed.give(document(a_running_run()))

    fed.give(problem(404, "RUN_NOT_FOUND"))
    with pytest.raises(NotFound):
        fed.give(0.0)


def test_the_wait_ends_at_its_deadline_though_heartbeats_keep_coming() -> None:
    fed = Fed(_following.wait(RUN_ID, 20.0, STEADY))
    fed.give(100.0)
    fed.give(document(a_running_run()))
    opened = fed.give(100.0)
    assert isinstance(opened, Open)
    assert opened.silence_s == 20.0
    fed.give(OPENED)

    fed.give(HEARTBEAT)
    # Five seconds are left: the stream is opened anew, so that silence ends it in time.
    assert isinstance(fed.give(115.0), Now)
    reopened = fed.give(115.0)
    assert isinstance(reopened, Open)
    assert reopened.silence_s == 5.0
    fed.give(OPENED)
    fed.give(TimedOut("silent"))
    fed.give(120.0)
    with pytest.raises(WaitTimeout) as caught:
        fed.give(document(a_running_run()))

    assert caught.value.run.state.value == "RUNNING"
    assert isinstance(caught.value, TimeoutError)


def test_pieces_that_follow_each_other_closely_do_not_reopen_the_stream() -> None:
    fed = Fed(_following.wait(RUN_ID, 20.0, STEADY))
    fed.give(100.0)
    fed.give(document(a_running_run()))
    fed.give(100.0)
    fed.give(OPENED)

    assert isinstance(fed.give(b"retry: 1000\n\n"), Now)
    assert isinstance(fed.give(100.1), NextChunk)


def test_a_run_that_ends_at_the_deadline_is_returned_after_all() -> None:
    fed = Fed(_following.wait(RUN_ID, 1.0, STEADY))
    fed.give(0.0)
    fed.give(document(a_running_run()))
    fed.give(2.0)

    fed.give(document(a_completed_run()))

    assert fed.result.is_terminal


def test_events_are_emitted_once_each_across_a_broken_connection() -> None:
    fed = Fed(_following.follow_events(RUN_ID, 0, STEADY))
    emitted: list[Any] = []

    def feed(outcome: object) -> None:
        effect = fed.give(outcome)
        while isinstance(effect, Emit | Now | Sleep):
            if isinstance(effect, Emit):
                emitted.append(effect.item.number)
            effect = fed.give(0.0)

    feed(OPENED)
    feed(event(1) + event(2))
    feed(ConnectionLost("reset"))
    assert last_event_id(fed.effect) == "2"
    feed(OPENED)
    feed(event(3) + END)

    assert emitted == [1, 2, 3]
    assert fed.effect is None


def test_a_message_cut_in_two_by_the_connection_is_sent_again_whole() -> None:
    fed = Fed(_following.follow_events(RUN_ID, 0, STEADY))
    whole = event(1)

    fed.give(OPENED)
    assert isinstance(fed.give(whole[:-5]), NextChunk)
    fed.give(ConnectionLost("reset"))
    fed.give(0.0)

    assert last_event_id(fed.give(None)) is None


def test_logs_resume_by_attempt_and_number_and_drop_their_tail() -> None:
    fed = Fed(_following.follow_logs(RUN_ID, attempt=None, tail=10, backoff=STEADY))
    chunk = {"number": 3, "attempt": 2, "t": "", "stream": "stdout", "text": "hi\n"}
    assert isinstance(fed.effect, Open)
    assert ("tail", "10") in fed.effect.request.query

    fed.give(OPENED)
    fed.give(f"event: log\nid: 2.3\ndata: {json.dumps(chunk)}\n\n".encode())
    fed.give(None)
    fed.give(ConnectionLost("reset"))
    fed.give(0.0)
    resumed = fed.give(None)

    assert last_event_id(resumed) == "2.3"
    assert isinstance(resumed, Open)
    assert resumed.request.query == ()


def test_outputs_of_a_completed_run_need_no_request() -> None:
    assert Fed(_following.outputs_of(a_completed_run(), STEADY)).result == {"words": 2}


def test_a_failed_run_raises_its_reason_message_and_last_lines() -> None:
    fed = Fed(_following.outputs_of(a_failed_run(), STEADY))
    chunk = {"number": 1, "attempt": 1, "t": "", "stream": "stderr", "text": "no such file\n"}

    with pytest.raises(RunFailed) as caught:
        fed.give(json_answer({"items": [chunk], "next_page_token": ""}))

    assert str(caught.value) == f"run {RUN_ID} failed: USER_ERROR: exit code 3\n  | no such file"
    assert caught.value.reason == "USER_ERROR"


def test_a_failure_is_told_also_when_its_logs_are_not_to_be_had() -> None:
    fed = Fed(_following.outputs_of(a_failed_run("OOM", "out of memory"), STEADY))

    with pytest.raises(RunFailed, match="OOM: out of memory"):
        fed.give(ConnectFailed("refused"))


def test_a_cancelled_run_says_so() -> None:
    with pytest.raises(RunCancelled, match="was cancelled"):
        Fed(_following.outputs_of(a_cancelled_run(), STEADY))

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.client import _calls, _flows
from gyoza.client._effects import Answer, Emit, FileFacts, HashFile, Send, Sleep
from gyoza.client.errors import (
    Conflict,
    ConnectFailed,
    ConnectionLost,
    InvalidInput,
    NotFound,
    ServerFault,
    ServerUnavailable,
    TimedOut,
)
from gyoza.wire.messages import Artifact, SubmitRun
from tests.support.run_documents import a_run
from tests.unit.client.hand_feeding import STEADY, Fed, json_answer, problem

GET = _calls.get_run("run_x")
HASH = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_good_answer_needs_one_request() -> None:
    fed = Fed(_flows.perform(GET, STEADY))

    assert fed.effect == Send(GET.request)
    fed.give(json_answer(a_run().to_dict()))

    assert fed.result.id == a_run().id


@pytest.mark.parametrize(
    "trouble",
    [ConnectFailed("x"), ConnectionLost("x"), TimedOut("x"), problem(503, "SHUTTING_DOWN")],
    ids=["refused", "broken", "slow", "unavailable"],
)
def test_passing_trouble_is_slept_over_and_the_same_request_sent_again(trouble: object) -> None:
    fed = Fed(_flows.perform(GET, STEADY))

    assert fed.give(trouble) == Sleep(0.75)
    assert fed.give(None) == Send(GET.request)


def test_pauses_double_and_the_last_error_is_raised() -> None:
    fed = Fed(_flows.perform(GET, STEADY))

    for pause in (0.75, 1.5, 3.0):
        assert fed.give(TimedOut("late")) == Sleep(pause)
        fed.give(None)
    with pytest.raises(TimedOut, match="late"):
        fed.give(TimedOut("late"))


def test_what_the_server_asks_to_wait_is_not_cut_short() -> None:
    fed = Fed(_flows.perform(GET, STEADY))
    busy = problem(503, "STORE_UNAVAILABLE")

    pause = fed.give(Answer(503, {"retry-after": "20"}, busy.body))

    assert pause == Sleep(20.0)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "RUN_NOT_FOUND", NotFound),
        (409, "RUN_ENDED", Conflict),
        (500, "INTERNAL", ServerFault),
    ],
)
def test_a_no_that_stays_a_no_is_raised_at_once(
    status: int, code: str, error: type[Exception]
) -> None:
    fed = Fed(_flows.perform(GET, STEADY))

    with pytest.raises(error):
        fed.give(problem(status, code))


def test_a_call_that_must_not_be_sent_twice_is_repeated_only_when_nothing_was_sent() -> None:
    call = _calls.Call(GET.request, GET.read, is_repeatable=False)

    assert isinstance(Fed(_flows.perform(call, STEADY)).give(ConnectFailed("x")), Sleep)
    with pytest.raises(ConnectionLost):
        Fed(_flows.perform(call, STEADY)).give(ConnectionLost("x"))
    with pytest.raises(ServerUnavailable):
        Fed(_flows.perform(call, STEADY)).give(problem(503, "STORE_UNAVAILABLE"))


def test_a_submit_is_repeated_under_the_same_key() -> None:
    call = _calls.submit_run(SubmitRun(op_definition="x"), "key-1")
    fed = Fed(_flows.perform(call, STEADY))

    fed.give(ConnectionLost("broken"))
    again = fed.give(None)

    assert isinstance(again, Send)
    assert again.request.headers["Idempotency-Key"] == "key-1"


def test_pages_are_read_only_when_they_are_needed() -> None:
    fed = Fed(_flows.emit_pages(lambda token: _calls.list_runs([], token), STEADY))
    page = {"items": [a_run().to_dict()], "next_page_token": "more"}

    assert isinstance(fed.give(json_answer(page)), Emit)
    second = fed.give(None)
    assert isinstance(second, Send)
    assert ("page_token", "more") in second.request.query
    fed.give(json_answer({"items": [], "next_page_token": ""}))

    assert fed.effect is None


def test_a_numbered_list_is_read_on_after_its_last_item() -> None:
    fed = Fed(_flows.emit_events("run_x", 0, STEADY))
    event = {"number": 7, "attempt": 1, "t": "", "type": "INFO", "msg": "m"}

    fed.give(json_answer({"items": [event], "next_page_token": "more"}))
    following = fed.give(None)

    assert isinstance(following, Send)
    assert ("after", "7") in following.request.query


def test_a_file_that_the_server_has_is_not_sent_again() -> None:
    fed = Fed(_flows.put_artifact(Path("f"), "text/plain", STEADY))

    assert fed.effect == HashFile(Path("f"))
    asked = fed.give(FileFacts(HASH, 3))
    assert isinstance(asked, Send)
    assert asked.request.method == "HEAD"
    fed.give(Answer(200))

    assert fed.result.sha256 == HASH


def test_a_file_that_the_server_does_not_have_is_streamed_from_disk() -> None:
    fed = Fed(_flows.put_artifact(Path("f"), "text/plain", STEADY))

    fed.give(FileFacts(HASH, 3))
    sent = fed.give(Answer(404))
    assert isinstance(sent, Send)
    assert (sent.request.method, sent.request.body) == ("PUT", Path("f"))
    fed.give(json_answer({"sha256": HASH, "size_bytes": 3, "media_type": "text/plain"}, 201))

    assert fed.result.size_bytes == 3


def test_bytes_that_are_not_those_of_the_hash_are_fetched_again() -> None:
    fed = Fed(_flows.read_artifact(HASH, STEADY))

    assert isinstance(fed.give(Answer(200, {}, b"abX")), Sleep)
    fed.give(None)
    fed.give(Answer(200, {}, b"abc"))

    assert fed.result == b"abc"


def asking(fed: Fed[Artifact], arrived: int) -> Send:
    """Answer the question how much has arrived, and return what is sent then."""
    sent = fed.give(Answer(404, {"upload-offset": str(arrived)}))
    assert isinstance(sent, Send)
    return sent


def test_a_broken_upload_goes_on_after_what_arrived() -> None:
    fed = Fed(_flows.put_artifact(b"abcdef", "text/plain", STEADY))

    first = asking(fed, 0).request
    assert isinstance(fed.give(ConnectionLost("broken")), Sleep)
    fed.give(None)
    second = asking(fed, 4).request

    assert (first.method, first.body) == ("PUT", b"abcdef")
    assert (second.method, second.body) == ("PATCH", b"ef")
    assert second.headers["Upload-Offset"] == "4"
    assert second.headers["Upload-Media-Type"] == "text/plain"


def test_what_arrived_of_a_file_on_disk_is_skipped() -> None:
    fed = Fed(_flows.put_artifact(Path("f"), "text/plain", STEADY))
    fed.give(FileFacts(HASH, 3))

    request = asking(fed, 2).request

    assert (request.method, request.body, request.skip) == ("PATCH", Path("f"), 2)


def test_an_upload_may_break_often_as_long_as_it_gets_on() -> None:
    fed = Fed(_flows.put_artifact(b"x" * 100, "text/plain", STEADY))

    for arrived in range(1, 20):
        asking(fed, arrived)
        assert fed.give(ConnectionLost("broken")) == Sleep(0.75)
        fed.give(None)


def test_an_upload_that_does_not_get_on_ends() -> None:
    fed = Fed(_flows.put_artifact(b"x" * 100, "text/plain", STEADY))

    for _ in range(3):
        asking(fed, 5)
        assert isinstance(fed.give(ConnectionLost("broken")), Sleep)
        fed.give(None)
    asking(fed, 5)

    with pytest.raises(ConnectionLost):
        fed.give(ConnectionLost("broken"))


@pytest.mark.parametrize("code", ["UPLOAD_BUSY", "UPLOAD_OFFSET"])
def test_when_another_sends_the_same_file_its_bytes_are_waited_for(code: str) -> None:
    fed = Fed(_flows.put_artifact(b"abc", "text/plain", STEADY))

    asking(fed, 1)
    assert isinstance(fed.give(problem(409, code)), Sleep)
    fed.give(None)
    fed.give(Answer(200))

    assert fed.result.size_bytes == 3


def test_a_beginning_that_was_of_another_file_is_sent_anew_once() -> None:
    fed = Fed(_flows.put_artifact(b"abc", "text/plain", STEADY))

    asking(fed, 1)
    fed.give(problem(422, "HASH_MISMATCH"))
    fed.give(None)
    anew = asking(fed, 0)

    assert anew.request.method == "PUT"
    with pytest.raises(InvalidInput):
        fed.give(problem(422, "HASH_MISMATCH"))

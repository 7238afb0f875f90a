"""Events and logs of a run: by pages, as text, as server-sent events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from gyoza.server.storage.records import LogPiece
from tests.integration.api.driver import Api, events_of

pytestmark = pytest.mark.anyio
SSE = {"Accept": "text/event-stream"}
TEXT = {"Accept": "text/plain"}
T = datetime(2031, 5, 4, tzinfo=UTC)


async def add_events(api: Api, run: dict[str, Any], count: int) -> None:
    for number in range(count):
        body = {"type": "INFO", "msg": f"m{number + 1}"}
        assert (await api.post(f"/runs/{run['id']}/events", body)).status_code == 201


async def write_logs(api: Api, run: dict[str, Any], attempt: int, *texts: str) -> None:
    pieces = [LogPiece(t=T, stream="stdout", text=text) for text in texts]

    def append(uow: Any) -> None:
        uow.logs.append(run["id"], attempt, pieces)
        uow.wake(f"run:{run['id']}")

    await api.store.write(append)


async def cancel(api: Api, run: dict[str, Any]) -> None:
    assert (await api.post(f"/runs/{run['id']}/cancel", {})).status_code == 200


async def test_events_come_in_pages_that_go_on_from_a_number(api: Api) -> None:
    run = await api.new_run()
    await add_events(api, run, 3)

    first = (await api.get(f"/runs/{run['id']}/events?page_size=2")).json()
    rest = (await api.get(f"/runs/{run['id']}/events?after={first['next_page_token']}")).json()

    assert [event["msg"] for event in first["items"]] == ["m1", "m2"]
    assert [event["msg"] for event in rest["items"]] == ["m3"]
    assert rest["next_page_token"] == ""


async def test_a_stream_of_an_ended_run_tells_everything_and_ends(api: Api) -> None:
    run = await api.new_run()
    await add_events(api, run, 2)
    await cancel(api, run)

    answer = await api.get(f"/runs/{run['id']}/events", headers=SSE)

    told = events_of(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("retry: ")
    assert [kind for kind, _, _ in told] == ["INFO", "INFO", "CANCELLED", "end"]
    assert [number for _, number, _ in told] == ["1", "2", "3", ""]
    assert told[0][2]["msg"] == "m1"


async def test_the_end_of_a_stream_brings_the_run_as_reading_it_would(api: Api) -> None:
    run = await api.new_run()
    await cancel(api, run)

    answer = await api.get(f"/runs/{run['id']}/events", headers=SSE)
    read = await api.get(f"/runs/{run['id']}")

    assert events_of(answer.text)[-1][2] == read.json()


async def test_a_stream_follows_what_happens_until_the_end(api: Api) -> None:
    run = await api.new_run()

    async with asyncio.timeout(4):  # less than the safety poll: it must have been woken
        following = asyncio.create_task(api.get(f"/runs/{run['id']}/events", headers=SSE))
        await asyncio.sleep(0)
        await add_events(api, run, 2)
        await cancel(api, run)
        answer = await following

    assert [kind for kind, _, _ in events_of(answer.text)] == ["INFO", "INFO", "CANCELLED", "end"]


@pytest.mark.parametrize("resumed", [{"Last-Event-ID": "2"}, {}])
async def test_a_stream_resumes_after_the_last_event_that_the_client_has(
    api: Api, resumed: dict[str, str]
) -> None:
    run = await api.new_run()
    await add_events(api, run, 3)
    await cancel(api, run)
    query = "" if resumed else "?after=2"

    answer = await api.get(f"/runs/{run['id']}/events{query}", headers={**SSE, **resumed})

    assert [number for _, number, _ in events_of(answer.text)] == ["3", "4", ""]


@pytest.mark.parametrize(("path", "sent"), [("events", "x"), ("events", "1.2"), ("logs", "7")])
async def test_a_last_event_id_that_is_not_ours_is_refused(api: Api, path: str, sent: str) -> None:
    run = await api.new_run()

    answer = await api.get(f"/runs/{run['id']}/{path}", headers={**SSE, "Last-Event-ID": sent})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "Last-Event-ID")


async def test_a_stream_of_more_than_a_portion_tells_each_once(api: Api) -> None:
    run = await api.new_run()
    await write_logs(api, run, 1, *(f"{n}\n" for n in range(450)))
    await cancel(api, run)

    answer = await api.get(f"/runs/{run['id']}/logs", headers=SSE)

    told = events_of(answer.text)
    assert [event_id for _, event_id, _ in told[:-1]] == [f"1.{n + 1}" for n in range(450)]
    assert told[-1][0] == "end"


async def test_logs_come_as_json_as_text_and_from_the_end(api: Api) -> None:
    run = await api.new_run()
    await write_logs(api, run, 1, "one\n", "two\n", "three\n")
    path = f"/runs/{run['id']}/logs"

    page = (await api.get(f"{path}?after=1&page_size=1")).json()
    text = await api.get(path, headers=TEXT)
    tail = (await api.get(f"{path}?tail=2")).json()
    tail_text = await api.get(f"{path}?tail=1", headers=TEXT)

    assert [chunk["text"] for chunk in page["items"]] == ["two\n"]
    assert page["next_page_token"] == "2"
    assert text.text == "one\ntwo\nthree\n"
    assert text.headers["content-type"].startswith("text/plain")
    assert [chunk["text"] for chunk in tail["items"]] == ["two\n", "three\n"]
    assert tail_text.text == "three\n"


async def test_a_log_stream_goes_on_through_the_attempts(api: Api) -> None:
    run = await api.new_run()
    await write_logs(api, run, 1, "first\n")
    await cancel(api, run)
    await api.post(f"/runs/{run['id']}/retry", {})
    await write_logs(api, run, 2, "second\n")
    await cancel(api, run)
    path = f"/runs/{run['id']}/logs"

    resumed = await api.get(path, headers={**SSE, "Last-Event-ID": "1.0"})
    current = await api.get(path, headers=SSE)
    first = await api.get(f"{path}?attempt=1", headers=SSE)

    assert [key for _, key, _ in events_of(resumed.text)] == ["1.1", "2.1", ""]
    assert [key for _, key, _ in events_of(current.text)] == ["2.1", ""]
    assert [key for _, key, _ in events_of(first.text)] == ["1.1", ""]


async def test_a_log_stream_from_the_tail_goes_on_from_there(api: Api) -> None:
    run = await api.new_run()
    await write_logs(api, run, 1, "one\n", "two\n")

    async with asyncio.timeout(4):
        following = asyncio.create_task(api.get(f"/runs/{run['id']}/logs?tail=1", headers=SSE))
        await asyncio.sleep(0)
        await write_logs(api, run, 1, "three\n")
        await cancel(api, run)
        answer = await following

    assert [data.get("text") for _, _, data in events_of(answer.text)][-2:] == ["three\n", None]
    assert "one" not in answer.text


async def test_a_log_stream_that_resumes_goes_on_from_its_chunk_and_not_from_the_tail(
    api: Api,
) -> None:
    run = await api.new_run()
    await write_logs(api, run, 1, "one\n", "two\n", "three\n")
    await cancel(api, run)

    path = f"/runs/{run['id']}/logs?tail=1"
    answer = await api.get(path, headers={**SSE, "Last-Event-ID": "1.1"})

    assert [key for _, key, _ in events_of(answer.text)] == ["1.2", "1.3", ""]


@pytest.mark.parametrize("path", ["events", "logs"])
async def test_a_stopping_server_ends_its_streams_without_end(api: Api, path: str) -> None:
    run = await api.new_run()

    async with asyncio.timeout(4):
        following = asyncio.create_task(api.get(f"/runs/{run['id']}/{path}", headers=SSE))
        await api.until_streams_are_open(1)
        api.stopping.begin()
        answer = await following

    assert answer.status_code == 200
    assert events_of(answer.text) == []


async def test_logs_of_an_attempt_that_never_was_are_refused(api: Api) -> None:
    run = await api.new_run()

    answer = await api.get(f"/runs/{run['id']}/logs?attempt=4")

    assert answer.status_code == 422
    assert "the run has 1 attempt, none is 4" in answer.text

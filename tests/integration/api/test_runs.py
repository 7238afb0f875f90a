"""Runs over HTTP: submitting, reading, listing, changing, ending."""

from __future__ import annotations

import pytest

from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio
OP = {
    "id": "count",
    "version": "1",
    "image": "example/count:1",
    "input_specs": {"text": {"type": "string"}, "top": {"type": "integer", "required": False}},
}


async def test_a_submitted_run_is_created_with_its_address(api: Api) -> None:
    answer = await api.post("/runs", {"image": "example/image:1", "inputs": {"a": 1.0}})

    run = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}"
    assert (run["state"], run["priority"], run["inputs"]) == ("PENDING", 5, {"a": 1.0})
    assert (await api.send("GET", answer.headers["location"])).json()["id"] == run["id"]


async def test_a_run_of_an_op_takes_its_image_and_version(api: Api) -> None:
    await api.put("/definitions", OP)

    run = (await api.post("/runs", {"op_definition": "count", "inputs": {"text": "x"}})).json()

    assert (run["image"], run["op_version"]) == ("example/count:1", "1")


async def test_wrong_inputs_are_all_named_and_nothing_is_created(api: Api) -> None:
    await api.put("/definitions", OP)

    answer = await api.post("/runs", {"op_definition": "count", "inputs": {"top": "x", "tpo": 1}})

    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_INPUT")
    assert pointers == {"/inputs/text", "/inputs/top", "/inputs/tpo"}
    assert await api.count_runs() == 0


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ({"op_definition": "nobody"}, "OP_NOT_FOUND", 404),
        ({"op_definition": "count", "op_version": "9"}, "VERSION_NOT_FOUND", 404),
        ({}, "INVALID_INPUT", 422),
        ({"image": "i", "op_definition": "count"}, "INVALID_INPUT", 422),
        ({"image": "i", "priority": 101}, "INVALID_INPUT", 422),
    ],
)
async def test_a_submit_that_cannot_be_is_refused(
    api: Api, body: dict[str, object], code: str, status: int
) -> None:
    await api.put("/definitions", OP)

    answer = await api.post("/runs", body)

    assert (answer.json()["code"], answer.status_code) == (code, status)
    assert await api.count_runs() == 0


async def test_a_batch_says_of_each_what_became_of_it(api: Api) -> None:
    runs = [{"image": "i"}, {"op_definition": "nobody"}, {"imag": "i"}]

    answer = (await api.post("/runs:batch", {"runs": runs})).json()

    made, unknown, typo = answer["items"]
    assert made["run_id"].startswith("run_")
    assert unknown["problem"]["code"] == "OP_NOT_FOUND"
    assert typo["problem"]["code"] == "INVALID_REQUEST"
    listed = (await api.get(f"/runs?batch={answer['batch_id']}")).json()["items"]
    assert [run["id"] for run in listed] == [made["run_id"]]


@pytest.mark.parametrize("count", [0, 10_001])
async def test_a_batch_of_none_or_too_many_is_refused(api: Api, count: int) -> None:
    answer = await api.post("/runs:batch", {"runs": [{}] * count})

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


async def test_pages_hold_every_run_once_newest_first(api: Api) -> None:
    made = [(await api.new_run())["id"] for _ in range(5)]

    seen, token = [], ""
    while True:
        page = (await api.get(f"/runs?page_size=2&page_token={token}")).json()
        seen += [run["id"] for run in page["items"]]
        token = page["next_page_token"]
        if not token:
            break

    assert seen == made[::-1]


async def test_a_page_is_never_longer_than_two_hundred(api: Api) -> None:
    await api.post("/runs:batch", {"runs": [{"image": "i"}] * 201})

    page = (await api.get("/runs?page_size=1000")).json()

    assert len(page["items"]) == 200
    assert page["next_page_token"]


async def test_filters_restrict_together(api: Api) -> None:
    wanted = await api.new_run(owner="ann", tags={"team": "geo", "k": "a=b"})
    await api.new_run(owner="ann")
    await api.new_run(owner="ben", tags={"team": "geo"})

    found = await api.get("/runs?owner=ann&tag=team=geo&tag=k=a=b&state=PENDING&state=FAILED")

    assert [run["id"] for run in found.json()["items"]] == [wanted["id"]]


@pytest.mark.parametrize("query", ["state=DONE", "stat=PENDING", "page_token=zzz", "tag=team"])
async def test_a_filter_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    answer = await api.get(f"/runs?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert answer.json()["errors"][0]["pointer"] == query.partition("=")[0]


async def test_a_beginning_of_an_id_is_enough_while_it_is_the_only_one(api: Api) -> None:
    run = await api.new_run()
    alone = await api.get(f"/runs/{run['id'][:-1]}")
    await api.new_run()
    ambiguous = await api.get(f"/runs/{run['id'][:9]}")

    assert alone.json()["id"] == run["id"]
    assert (ambiguous.status_code, ambiguous.json()["code"]) == (409, "AMBIGUOUS_ID")


@pytest.mark.parametrize("tail", ["", "/events", "/logs", "/artifacts", "/explain"])
async def test_an_ambiguous_prefix_is_refused_wherever_a_run_is_named(api: Api, tail: str) -> None:
    run = await api.new_run()
    await api.new_run()

    answer = await api.get(f"/runs/{run['id'][:8]}{tail}")

    assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID")


async def test_one_tag_cannot_have_two_values_at_once(api: Api) -> None:
    await api.new_run(tags={"team": "a"})
    await api.new_run(tags={"team": "b"})

    answer = await api.get("/runs?tag=team=a&tag=team=b")

    assert answer.json()["items"] == []


@pytest.mark.parametrize("tail", ["", "/events", "/logs", "/artifacts", "/explain"])
async def test_an_unknown_run_is_not_found(api: Api, tail: str) -> None:
    answer = await api.get(f"/runs/run_unknown{tail}")

    assert (answer.status_code, answer.json()["code"]) == (404, "RUN_NOT_FOUND")


async def test_a_run_shows_its_events_alone_and_not_in_lists(api: Api) -> None:
    run = await api.new_run()
    await api.post(f"/runs/{run['id']}/events", {"type": "INFO", "msg": "hello"})

    alone = (await api.get(f"/runs/{run['id']}")).json()
    (listed,) = (await api.get("/runs")).json()["items"]

    assert [event["msg"] for event in alone["attempts"][0]["events"]] == ["hello"]
    assert "events" not in listed["attempts"][0]


async def test_a_waiting_run_is_cancelled_at_once_and_can_be_retried(api: Api) -> None:
    run = await api.new_run()
    path = f"/runs/{run['id']}"

    cancelled = await api.post(f"{path}/cancel", {"reason": "changed my mind"})
    again = await api.send("POST", f"/api/v1{path}/cancel")
    retried = await api.send("POST", f"/api/v1{path}/retry")

    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "CANCELLED")
    assert (again.status_code, again.json()["state"]) == (200, "CANCELLED")
    assert (retried.status_code, retried.json()["state"]) == (200, "PENDING")
    assert retried.json()["attempt"] == 2


async def test_a_run_that_goes_on_is_not_retried(api: Api) -> None:
    run = await api.new_run()

    answer = await api.post(f"/runs/{run['id']}/retry", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "RUN_NOT_ENDED")


async def test_a_run_is_changed_by_patch(api: Api) -> None:
    run = await api.new_run()

    changed = await api.patch(f"/runs/{run['id']}", {"priority": 90})
    outputs = await api.patch(f"/runs/{run['id']}", {"outputs": {"n": 1}})
    ended = await api.patch(f"/runs/{run['id']}", {"state": "CANCELLED"})
    too_late = await api.patch(f"/runs/{run['id']}", {"priority": 1})

    assert changed.json()["priority"] == 90
    assert outputs.json()["outputs"] == {"n": 1}
    assert ended.json()["state"] == "CANCELLED"
    assert (too_late.status_code, too_late.json()["code"]) == (409, "RUN_ENDED")


@pytest.mark.parametrize("body", [{}, {"priority": -1}, {"state": "CANCELLED", "priority": 1}])
async def test_a_patch_that_makes_no_sense_is_refused(api: Api, body: dict[str, object]) -> None:
    run = await api.new_run()

    answer = await api.patch(f"/runs/{run['id']}", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_INPUT")


async def test_callers_add_events_but_no_states(api: Api) -> None:
    run = await api.new_run()

    added = await api.post(f"/runs/{run['id']}/events", {"type": "INFO", "msg": "a"})
    refused = await api.post(f"/runs/{run['id']}/events", {"type": "COMPLETED", "msg": "b"})

    assert (added.status_code, added.json()["msg"]) == (201, "a")
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_INPUT")


async def test_a_waiting_run_says_why_it_waits(api: Api) -> None:
    run = await api.new_run()

    answer = (await api.get(f"/runs/{run['id']}/explain")).json()

    assert (answer["run_id"], answer["state"]) == (run["id"], "PENDING")
    assert answer["summary"]


async def test_a_beginning_of_an_id_that_is_too_short_is_told_so(api: Api) -> None:
    answer = await api.get("/runs/run_0")

    assert answer.status_code == 404
    assert "at least 8 characters" in answer.json()["detail"]

"""Ops over HTTP: registering, versions, archiving, pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio


def an_op(**members: Any) -> dict[str, Any]:
    return {"id": "wordcount", "version": "1", "image": "example/wordcount:1", **members}


async def test_a_new_version_is_created_and_the_same_bytes_again_are_not(api: Api) -> None:
    first = await api.put("/definitions", an_op())
    again = await api.put("/definitions", an_op())

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


async def test_a_document_can_be_sent_back_as_it_came(api: Api) -> None:
    stored = (await api.put("/definitions", an_op())).json()

    assert (await api.put("/definitions", stored)).status_code == 200


async def test_a_version_never_changes(api: Api) -> None:
    await api.put("/definitions", an_op())

    answer = await api.put("/definitions", an_op(image="example/wordcount:2"))

    assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_CONFLICT")
    assert "image" in answer.json()["detail"]


async def test_versions_are_listed_newest_first_and_the_last_is_the_latest(api: Api) -> None:
    await api.put("/definitions", an_op())
    await api.put("/definitions", an_op(version="2"))

    versions = (await api.get("/definitions/wordcount/versions")).json()["items"]
    latest = (await api.get("/definitions/wordcount")).json()
    first = (await api.get("/definitions/wordcount/versions/1")).json()

    assert [each["version"] for each in versions] == ["2", "1"]
    assert (latest["version"], first["version"]) == ("2", "1")


async def test_pages_hold_every_op_once(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.put("/definitions", an_op(id=name))

    seen, token = [], ""
    while True:
        page = (await api.get(f"/definitions?page_size=2&page_token={token}")).json()
        seen += [each["id"] for each in page["items"]]
        token = page["next_page_token"]
        if not token:
            break

    assert seen == ["a", "b", "c"]


async def test_an_archived_op_takes_no_runs_until_a_version_brings_it_back(api: Api) -> None:
    await api.put("/definitions", an_op())

    archived = await api.delete("/definitions/wordcount")
    refused = await api.post("/runs", {"op_definition": "wordcount"})
    listed = (await api.get("/definitions")).json()["items"]
    listed_with = (await api.get("/definitions?archived=true")).json()["items"]
    await api.put("/definitions", an_op())
    taken = await api.post("/runs", {"op_definition": "wordcount"})

    assert archived.status_code == 204
    assert (refused.status_code, refused.json()["code"]) == (409, "OP_ARCHIVED")
    assert (len(listed), len(listed_with)) == (0, 1)
    assert taken.status_code == 201


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/definitions/nobody", "OP_NOT_FOUND"),
        ("/definitions/nobody/versions", "OP_NOT_FOUND"),
        ("/definitions/nobody/versions/1", "OP_NOT_FOUND"),
        ("/definitions/wordcount/versions/9", "VERSION_NOT_FOUND"),
    ],
)
async def test_what_is_not_there_is_not_found(api: Api, path: str, code: str) -> None:
    await api.put("/definitions", an_op())

    answer = await api.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_archiving_nobody_is_not_found(api: Api) -> None:
    answer = await api.delete("/definitions/nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "OP_NOT_FOUND")


async def test_every_fault_of_a_definition_is_named_at_once(api: Api) -> None:
    answer = await api.put("/definitions", an_op(id="No Spaces", image=""))

    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_INPUT")
    assert {"/id", "/image"} <= pointers


async def test_a_dry_run_answers_and_stores_nothing(api: Api) -> None:
    checked = await api.put("/definitions?dry_run=true", an_op())

    assert (checked.status_code, checked.json()["version"]) == (200, "1")
    assert (await api.get("/definitions/wordcount")).status_code == 404


async def test_a_dry_run_leaves_the_current_version_current(api: Api) -> None:
    await api.put("/definitions", an_op())
    await api.put("/definitions", an_op(version="2"))

    again = await api.put("/definitions?dry_run=true", an_op())

    assert (again.status_code, again.json()["version"]) == (200, "1")
    assert (await api.get("/definitions/wordcount")).json()["version"] == "2"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"image": "example/wordcount:2"}, "VERSION_CONFLICT"),
        ({"version": "2", "id": "Not An Id"}, "INVALID_INPUT"),
        ({"version": "2", "constraints": {"cpu": 0}}, "INVALID_INPUT"),
        ({"version": "2", "execution": {"warm": {}}}, "INVALID_INPUT"),
        ({"version": "2", "input_specs": {"n": {"type": "int", "default": "x"}}}, "INVALID_INPUT"),
    ],
)
async def test_a_dry_run_is_refused_what_registering_is_refused(
    api: Api, members: dict[str, Any], code: str
) -> None:
    await api.put("/definitions", an_op())

    dry = await api.put("/definitions?dry_run=true", an_op(**members))
    wet = await api.put("/definitions", an_op(**members))

    assert dry.json()["code"] == wet.json()["code"] == code
    assert dry.json()["detail"] == wet.json()["detail"]


async def three_versions(api: Api) -> None:
    for version in ("1", "2", "3"):
        await api.put("/definitions", an_op(version=version))


async def test_rolling_back_goes_to_the_version_before_and_on_from_there(api: Api) -> None:
    await three_versions(api)

    steps = [await api.post("/definitions/wordcount/rollback") for _ in range(3)]

    assert [step.status_code for step in steps] == [200, 200, 409]
    assert [step.json()["version"] for step in steps[:2]] == ["2", "1"]
    assert steps[2].json()["code"] == "NO_EARLIER_VERSION"
    assert (await api.get("/definitions/wordcount")).json()["version"] == "1"


async def test_rolling_back_to_a_named_version_makes_it_current_whichever_it_is(api: Api) -> None:
    await three_versions(api)

    back = await api.post("/definitions/wordcount/rollback", {"version": "1"})
    forth = await api.post("/definitions/wordcount/rollback", {"version": "3"})
    run = (await api.post("/runs", {"op_definition": "wordcount"})).json()

    assert (back.json()["version"], forth.json()["version"]) == ("1", "3")
    assert run["op_version"] == "3"


async def test_a_repeated_rollback_with_the_same_key_goes_back_once(api: Api) -> None:
    await three_versions(api)
    key = {"Idempotency-Key": "one"}

    answers = [await api.post("/definitions/wordcount/rollback", {}, headers=key) for _ in range(2)]

    assert [answer.json()["version"] for answer in answers] == ["2", "2"]


async def test_an_unknown_or_archived_op_is_not_rolled_back(api: Api) -> None:
    await three_versions(api)
    unknown = await api.post("/definitions/nothing/rollback")
    no_version = await api.post("/definitions/wordcount/rollback", {"version": "9"})
    await api.delete("/definitions/wordcount")
    archived = await api.post("/definitions/wordcount/rollback")

    codes = [answer.json()["code"] for answer in (unknown, no_version, archived)]
    assert codes == ["OP_NOT_FOUND", "VERSION_NOT_FOUND", "OP_ARCHIVED"]


async def test_the_schema_of_a_version_says_what_goes_in_and_what_comes_out(api: Api) -> None:
    await api.put("/definitions", an_op(input_specs={"a": {"type": "int"}}))
    await api.put(
        "/definitions",
        an_op(
            version="2",
            input_specs={"b": {"type": "string", "schema": {"minLength": 2}}},
            output_specs={"n": {"type": "integer", "description": "How many."}},
        ),
    )

    first = (await api.get("/definitions/wordcount/schema?version=1")).json()
    latest = (await api.get("/definitions/wordcount/schema")).json()

    assert (first["version"], list(first["inputs"]["properties"])) == ("1", ["a"])
    assert (latest["id"], latest["version"]) == ("wordcount", "2")
    assert latest["inputs"]["properties"] == {"b": {"type": "string", "minLength": 2}}
    assert latest["inputs"]["required"] == ["b"]
    assert latest["outputs"]["properties"]["n"]["description"] == "How many."


async def test_an_unknown_version_has_no_schema(api: Api) -> None:
    await api.put("/definitions", an_op())

    answer = await api.get("/definitions/wordcount/schema?version=7")

    assert (answer.status_code, answer.json()["code"]) == (404, "VERSION_NOT_FOUND")

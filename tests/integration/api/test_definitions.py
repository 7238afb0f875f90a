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

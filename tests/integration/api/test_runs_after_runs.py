"""Runs that come after others, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.server.storage.unit_of_work import UnitOfWork
from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio


async def completed(api: Api, run_id: str) -> None:
    def complete(uow: UnitOfWork) -> None:
        run = uow.runs.get(run_id)
        run.assign("wrk_1")
        run.complete()
        uow.runs.save(run)

    await api.store.write(complete)


async def shown(api: Api, run: dict[str, Any]) -> tuple[str, str | None, str | None]:
    found = (await api.get(f"/runs/{run['id']}")).json()
    return found["state"], found.get("phase"), found.get("reason")


async def test_a_run_waits_until_the_one_before_has_completed(api: Api) -> None:
    first = await api.new_run()
    second = await api.new_run(after=[first["id"]])

    waiting = (await api.get(f"/runs/{second['id']}")).json()
    explained = (await api.get(f"/runs/{second['id']}/explain")).json()
    await completed(api, first["id"])

    assert waiting["phase"] == "AWAITING_RUNS"
    assert first["id"] in str(explained)
    assert await shown(api, second) == ("PENDING", None, None)


async def test_a_failure_cancels_the_whole_chain_but_not_who_takes_any_end(api: Api) -> None:
    first = await api.new_run()
    second = await api.new_run(after=[first["id"]])
    third = await api.new_run(after=[second["id"]])
    cleanup = await api.new_run(after_any=[third["id"]])

    await api.post(f"/runs/{first['id']}/cancel")

    assert await shown(api, second) == ("CANCELLED", None, "DEPENDENCY_FAILED")
    assert await shown(api, third) == ("CANCELLED", None, "DEPENDENCY_FAILED")
    assert await shown(api, cleanup) == ("PENDING", None, None)
    events = (await api.get(f"/runs/{third['id']}/events")).json()["items"]
    assert events[-1]["msg"] == (
        f"comes after {second['id']}, which ended CANCELLED (DEPENDENCY_FAILED)"
    )


async def test_an_unknown_run_before_is_refused_by_its_place(api: Api) -> None:
    answer = await api.post("/runs", {"image": "i", "after": ["run_nobody12"]})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "INVALID_INPUT")
    [fault] = problem["errors"]
    assert fault["pointer"] == "/after/0"
    assert "'run_nobody12'" in fault["message"]


async def test_a_run_that_failed_already_is_refused_and_named(api: Api) -> None:
    first = await api.new_run()
    await api.post(f"/runs/{first['id']}/cancel")

    answer = await api.post("/runs", {"image": "i", "after": [first["id"]]})

    [fault] = answer.json()["errors"]
    assert (answer.status_code, fault["pointer"]) == (422, "/after/0")
    assert f"{first['id']} ended CANCELLED" in fault["message"]
    assert await api.count_runs() == 1


async def test_an_item_of_a_batch_may_come_after_others(api: Api) -> None:
    first = await api.new_run()
    documents = [
        {"image": "i", "after_any": [first["id"]]},
        {"image": "i", "after": ["run_nobody12"]},
    ]

    made, refused = (await api.post("/runs:batch", {"runs": documents})).json()["items"]

    assert await shown(api, {"id": made["run_id"]}) == ("PENDING", "AWAITING_RUNS", None)
    assert refused["problem"]["errors"][0]["pointer"] == "/after/0"

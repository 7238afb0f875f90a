"""Cancelling and retrying many runs at once, in portions, by what they have in common."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.server.use_cases.bulk import PORTION
from gyoza.server.use_cases.paging import token_after
from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio


async def submit(api: Api, count: int = 1, **given: Any) -> list[str]:
    runs = [{"image": "i", **given}] * count
    answer = await api.post("/runs:batch", {"runs": runs})
    return [item["run_id"] for item in answer.json()["items"]]


async def portion(api: Api, verb: str, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"/runs:{verb}", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def state_of(api: Api, run_id: str) -> str:
    return (await api.send("GET", f"/api/v1/runs/{run_id}")).json()["state"]


async def test_only_the_runs_that_match_are_cancelled(api: Api) -> None:
    (meant,) = await submit(api, owner="ada", tags={"night": "1"})
    (spared,) = await submit(api, owner="ada", tags={"night": "2"})

    answer = await portion(api, "cancel", owner="ada", tags={"night": "1"}, reason="wrong night")

    assert answer == {"matched": 1, "done": 1, "asked": 0, "next_page_token": ""}
    assert await state_of(api, meant) == "CANCELLED"
    assert await state_of(api, spared) == "PENDING"


async def test_more_than_a_portion_takes_several_requests_and_meets_each_run_once(api: Api) -> None:
    await submit(api, PORTION + 30)

    first = await portion(api, "cancel", all=True)
    (later,) = await submit(api)
    second = await portion(api, "cancel", all=True, page_token=first["next_page_token"])

    assert (first["done"], second["done"]) == (PORTION, 30)
    assert second["next_page_token"] == ""
    assert await state_of(api, later) == "PENDING"


async def test_asking_for_a_portion_again_changes_nothing_more(api: Api) -> None:
    await submit(api, 3)
    await portion(api, "cancel", all=True)

    again = await portion(api, "cancel", all=True)

    assert again["matched"] == 0


async def test_a_dry_run_only_counts(api: Api) -> None:
    (run_id,) = await submit(api)

    answer = await portion(api, "cancel", state=["PENDING"], dry_run=True)

    assert (answer["matched"], answer["done"]) == (1, 0)
    assert await state_of(api, run_id) == "PENDING"


async def test_a_retry_takes_what_failed_and_the_cancelled_only_when_it_is_said(api: Api) -> None:
    (run_id,) = await submit(api, owner="ada")
    await portion(api, "cancel", owner="ada")

    assert (await portion(api, "retry", owner="ada"))["matched"] == 0
    assert (await portion(api, "retry", owner="ada", state=["CANCELLED"]))["done"] == 1
    assert await state_of(api, run_id) == "PENDING"


async def test_only_what_was_submitted_before_a_moment(api: Api) -> None:
    (run_id,) = await submit(api)
    run = (await api.send("GET", f"/api/v1/runs/{run_id}")).json()

    at_that = await portion(api, "cancel", created_before=run["created_at"], dry_run=True)
    later = await portion(api, "cancel", created_before="2999-01-01T00:00:00Z", dry_run=True)

    assert (at_that["matched"], later["matched"]) == (0, 1)


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("cancel", {}, ""),
        ("cancel", {"dry_run": True}, ""),
        ("cancel", {"state": ["COMPLETED"]}, "/state/0"),
        ("retry", {"state": ["FAILED", "PENDING"]}, "/state/1"),
        ("retry", {"op": "x", "created_before": "yesterday"}, "/created_before"),
    ],
)
async def test_what_restricts_nothing_or_makes_no_sense_is_refused(
    api: Api, verb: str, body: dict[str, Any], pointer: str
) -> None:
    await submit(api)

    answer = await api.post(f"/runs:{verb}", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_INPUT")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("token", ["abc", token_after("wordcount")])
async def test_a_token_of_elsewhere_is_refused_at_its_place(api: Api, token: str) -> None:
    answer = await api.post("/runs:cancel", {"all": True, "page_token": token})

    assert answer.json()["code"] == "INVALID_REQUEST"
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/page_token"]

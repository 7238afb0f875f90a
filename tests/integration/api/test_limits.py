"""Limits of ops and quotas of owners over HTTP."""

from __future__ import annotations

import pytest

from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio
OP = {"id": "wordcount", "version": "1", "image": "example/wordcount:1"}


async def test_an_op_is_paused_limited_and_listed(api: Api) -> None:
    await api.put("/definitions", OP)

    await api.patch("/definitions/wordcount/limits", {"paused": True})
    answer = await api.patch("/definitions/wordcount/limits", {"max_parallel": 4})

    expected = {"op": "wordcount", "paused": True, "max_parallel": 4, "at_work": 0}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert (await api.get("/definitions/wordcount/limits")).json() == expected
    assert (await api.get("/limits")).json()["items"] == [expected]


async def test_null_takes_a_limit_off(api: Api) -> None:
    await api.put("/definitions", OP)
    await api.patch("/definitions/wordcount/limits", {"max_parallel": 4})

    answer = await api.patch("/definitions/wordcount/limits", {"max_parallel": None})

    assert answer.json()["max_parallel"] is None
    assert (await api.get("/limits")).json()["items"] == []


async def test_limits_of_an_unknown_op_are_not_found(api: Api) -> None:
    answer = await api.patch("/definitions/nobody/limits", {"paused": True})

    assert (answer.status_code, answer.json()["code"]) == (404, "OP_NOT_FOUND")


async def test_a_submit_over_the_quota_is_429_with_figures(api: Api) -> None:
    await api.put("/quotas", {"owner": "ada", "max_queued": 1})
    await api.post("/runs", {"image": "busybox", "owner": "ada"})

    answer = await api.post("/runs", {"image": "busybox", "owner": "ada"})

    assert (answer.status_code, answer.json()["code"]) == (429, "QUOTA_EXCEEDED")
    assert "1 waiting of at most 1" in answer.json()["detail"]
    assert len((await api.get("/runs")).json()["items"]) == 1


async def test_a_batch_is_refused_run_by_run(api: Api) -> None:
    await api.put("/quotas", {"owner": "ada", "max_queued": 1})
    run = {"image": "busybox", "owner": "ada"}

    answer = await api.post("/runs:batch", {"runs": [run, run]})

    codes = [(each.get("problem") or {}).get("code") for each in answer.json()["items"]]
    assert codes == [None, "QUOTA_EXCEEDED"]


async def test_a_quota_goes_and_its_owner_has_the_defaults(api: Api) -> None:
    await api.put("/quotas", {"owner": "a/b c", "max_active": 3})

    removed = await api.delete("/quotas?owner=a%2Fb%20c")
    again = await api.delete("/quotas?owner=a%2Fb%20c")

    assert removed.status_code == 204
    assert (again.status_code, again.json()["code"]) == (404, "QUOTA_NOT_FOUND")
    assert (await api.get("/quotas")).json()["items"] == []

"""The same POST twice: one effect, one answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.api.driver import Api

pytestmark = pytest.mark.anyio
KEY = {"Idempotency-Key": "k-1"}


async def test_a_repeated_submit_gives_the_first_answer_and_one_run(api: Api) -> None:
    first = await api.post("/runs", {"image": "i"}, headers=KEY)
    again = await api.post("/runs", {"priority": 5, "image": "i"}, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert await api.count_runs() == 1


async def test_the_first_answer_stays_though_the_run_has_changed(api: Api) -> None:
    first = (await api.post("/runs", {"image": "i"}, headers=KEY)).json()
    await api.post(f"/runs/{first['id']}/cancel", {})

    again = (await api.post("/runs", {"image": "i"}, headers=KEY)).json()

    assert again["state"] == "PENDING"


async def test_another_body_under_the_same_key_is_refused(api: Api) -> None:
    await api.post("/runs", {"image": "i"}, headers=KEY)

    answer = await api.post("/runs", {"image": "j"}, headers=KEY)

    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert await api.count_runs() == 1


async def test_twenty_at_once_make_one_run(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.post("/runs", {"image": "i"}, headers=KEY) for _ in range(20))
    )

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await api.count_runs() == 1


async def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    refused = await api.post("/runs", {"op_definition": "later"}, headers=KEY)
    await api.put("/definitions", {"id": "later", "version": "1", "image": "i"})
    taken = await api.post("/runs", {"op_definition": "later"}, headers=KEY)

    assert (refused.status_code, taken.status_code) == (404, 201)


async def test_a_key_belongs_to_one_operation_on_one_run(api: Api) -> None:
    one, two = await api.new_run(), await api.new_run()

    first = await api.post(f"/runs/{one['id']}/cancel", {}, headers=KEY)
    other = await api.post(f"/runs/{two['id']}/cancel", {}, headers=KEY)
    retry = await api.post(f"/runs/{one['id']}/retry", {}, headers=KEY)

    assert first.status_code == 200
    assert other.json()["code"] == "IDEMPOTENCY_MISMATCH"
    assert retry.json()["state"] == "PENDING"


@pytest.mark.parametrize("path", ["/runs:batch", "/runs/{id}/events", "/runs/{id}/retry"])
async def test_every_other_post_of_a_caller_repeats_too(api: Api, path: str) -> None:
    run = await api.new_run()
    bodies = {
        "/runs:batch": {"runs": [{"image": "i"}]},
        "/runs/{id}/events": {"type": "INFO", "msg": "once"},
        "/runs/{id}/retry": {},
    }
    if path.endswith("retry"):
        await api.post(f"/runs/{run['id']}/cancel", {})
    target = path.replace("{id}", run["id"])

    first = await api.post(target, bodies[path], headers=KEY)
    again = await api.post(target, bodies[path], headers=KEY)

    assert first.status_code == again.status_code < 300
    assert first.json() == again.json()


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_of_no_or_too_many_characters_is_refused(api: Api, key: str) -> None:
    answer = await api.post("/runs", {"image": "i"}, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")

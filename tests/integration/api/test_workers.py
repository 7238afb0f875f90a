"""Workers over HTTP: the protocol from registration to result, and what people do with workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gyoza.server.scheduling.planner import plan
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import dispatch
from tests.integration.api.driver import API, Api, events_of

pytestmark = pytest.mark.anyio
WORKER = "wrk_01hx3k00000000000000000000"
PATH = f"/workers/{WORKER}"


def registration(**members: Any) -> dict[str, Any]:
    return {
        "worker_id": WORKER,
        "name": "box",
        "session_id": "s1",
        "machine_id": "m1",
        "boot_id": "b1",
        "version": "0.1.0",
        "capacity": {"cpu": 4, "ram_mb": 8000, "gpus": []},
        **members,
    }


@asynccontextmanager
async def dispatching(api: Api) -> AsyncIterator[None]:
    async with api.app.router.lifespan_context(api.app):
        yield


async def claimed(api: Api, claim_id: str = "c1", wait_s: float = 20) -> list[dict[str, Any]]:
    body = {"session_id": "s1", "claim_id": claim_id, "wait_s": wait_s}
    answer = await api.post(f"{PATH}/claims", body)
    assert answer.status_code == 200, answer.text
    return answer.json()["assignments"]


async def report(api: Api, assignment: dict[str, Any], **members: Any) -> dict[str, Any]:
    item = {key: assignment[key] for key in ("run_id", "fence", "token")} | members
    answer = await api.post(f"{PATH}/reports", {"session_id": "s1", "items": [item]})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][0]


async def test_a_run_goes_from_submit_to_completed(api: Api) -> None:
    async with dispatching(api):
        registered = await api.post("/workers", registration())
        run = await api.new_run(inputs={"a": 1})
        (assignment,) = await claimed(api)
        log = {"seq": 1, "t_us": 1, "stream": "stdout", "text": "hello\n"}
        started = {"seq": 1, "t_us": 1, "type": "STARTED", "msg": "go"}
        result = {"outcome": "COMPLETED", "finished_at_us": 2, "outputs": {"b": 2}}
        going = await report(api, assignment, events=[started], logs=[log])
        held = (await api.get(f"/workers/{WORKER}")).json()["runs"]
        done = await report(api, assignment, result=result)

    ended = (await api.get(f"/runs/{run['id']}")).json()
    assert registered.json()["worker_id"] == WORKER
    assert assignment["inputs"] == {"a": 1}
    assert (going["status"], done["status"]) == ("OK", "OK")
    assert held == [run["id"]]
    assert (ended["state"], ended["outputs"]) == ("COMPLETED", {"b": 2})
    assert (await api.get(f"/runs/{run['id']}/logs")).json()["items"][0]["text"] == "hello\n"


async def test_a_waiting_claim_is_answered_the_moment_a_run_comes(api: Api) -> None:
    async with dispatching(api), asyncio.timeout(4):  # less than the safety poll
        await api.post("/workers", registration())
        claiming = asyncio.create_task(claimed(api))
        await api.until_streams_are_open(1)
        run = await api.new_run()
        (assignment,) = await claiming

    assert assignment["run_id"] == run["id"]


async def test_a_log_line_wakes_who_follows_it(api: Api) -> None:
    async with dispatching(api), asyncio.timeout(4):
        await api.post("/workers", registration())
        run = await api.new_run()
        (assignment,) = await claimed(api)
        path = f"/runs/{run['id']}/logs"
        following = asyncio.create_task(api.get(path, headers={"Accept": "text/event-stream"}))
        await api.until_streams_are_open(1)
        for seq in (1, 2):
            log = {"seq": seq, "t_us": 1, "stream": "stdout", "text": f"{seq}\n"}
            await report(api, assignment, logs=[log])
        await report(api, assignment, result={"outcome": "COMPLETED", "finished_at_us": 2})
        told = events_of((await following).text)

    assert [kind for kind, _, _ in told] == ["log", "log", "end"]


async def test_a_claim_with_nothing_to_do_comes_back_empty_when_its_wait_has_passed(
    api: Api,
) -> None:
    await api.post("/workers", registration())

    assert await claimed(api, wait_s=0.01) == []


@pytest.mark.parametrize("wait_s", [0, -5])
async def test_a_claim_may_choose_not_to_wait(api: Api, wait_s: float) -> None:
    await api.post("/workers", registration())

    assert await claimed(api, wait_s=wait_s) == []


async def test_a_stopping_server_ends_a_claim_at_once(api: Api) -> None:
    await api.post("/workers", registration())

    async with asyncio.timeout(4):
        claiming = asyncio.create_task(claimed(api))
        await api.until_streams_are_open(1)
        api.stopping.begin()

        assert await claiming == []


async def test_a_claim_whose_worker_hung_up_takes_nothing(api: Api) -> None:
    await api.post("/workers", registration())
    body = b'{"session_id": "s1", "claim_id": "c1", "wait_s": 20}'
    arriving = [{"type": "http.request", "body": body, "more_body": False}]
    hung_up = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if arriving:
            return arriving.pop()
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        return

    def place(uow: UnitOfWork) -> None:
        settings = api.app.state.context.settings
        made = plan(dispatch.read_snapshot(uow, settings))
        dispatch.apply_placements(uow, made.placements, settings)

    await api.new_run()
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{API}{PATH}/claims",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    async with asyncio.timeout(4):
        claiming = asyncio.create_task(api.app(scope, receive, send))
        await api.until_streams_are_open(1)
        await api.store.write(lambda _uow: None)  # behind the claim's first look
        hung_up.set()
        api.store.write_now(place)  # the loop stands still, so both come at once
        await claiming

    left = await api.store.read(lambda uow: uow.assignments.unclaimed_for(WORKER))
    assert len(left) == 1


async def test_a_worker_that_is_not_known_registers_again(api: Api) -> None:
    for path, body in {
        "heartbeat": {"session_id": "s1"},
        "claims": {"session_id": "s1", "claim_id": "c"},
        "reports": {"session_id": "s1", "items": []},
        "releases": {"session_id": "s1", "items": []},
    }.items():
        answer = await api.post(f"{PATH}/{path}", body)

        assert (answer.status_code, answer.json()["code"]) == (404, "WORKER_NOT_FOUND")


async def test_a_session_that_was_replaced_is_over(api: Api) -> None:
    await api.post("/workers", registration())
    await api.post("/workers", registration(session_id="s2"))

    answer = await api.post(f"{PATH}/heartbeat", {"session_id": "s1"})

    assert (answer.status_code, answer.json()["code"]) == (409, "SESSION_SUPERSEDED")


async def test_a_wrong_token_changes_nothing(api: Api) -> None:
    async with dispatching(api):
        await api.post("/workers", registration())
        run = await api.new_run()
        (assignment,) = await claimed(api)
        result = {"outcome": "COMPLETED", "finished_at_us": 2}
        answer = await report(api, {**assignment, "token": "forged"}, result=result)

    assert answer["status"] == "INVALID"
    assert (await api.get(f"/runs/{run['id']}")).json()["state"] == "ASSIGNED"


async def test_a_run_that_a_worker_holds_is_cancelled_through_it(api: Api) -> None:
    async with dispatching(api):
        await api.post("/workers", registration())
        run = await api.new_run()
        (assignment,) = await claimed(api)
        held = await api.post(f"/runs/{run['id']}/events", {"type": "INFO", "msg": "no"})
        asked = await api.post(f"/runs/{run['id']}/cancel", {"reason": "enough"})
        beat = {"session_id": "s1", "held": [{"run_id": run["id"], "fence": assignment["fence"]}]}
        told = (await api.post(f"{PATH}/heartbeat", beat)).json()
        await report(api, assignment, result={"outcome": "CANCELLED", "finished_at_us": 2})

    assert (held.status_code, held.json()["code"]) == (409, "RUN_HELD")
    assert asked.status_code == 202
    assert [order["run_id"] for order in told["cancel"]] == [run["id"]]
    assert (await api.get(f"/runs/{run['id']}")).json()["state"] == "CANCELLED"


async def test_an_ended_run_is_over_for_cancel_and_retry(api: Api) -> None:
    async with dispatching(api):
        await api.post("/workers", registration())
        run = await api.new_run()
        (assignment,) = await claimed(api)
        await report(api, assignment, result={"outcome": "COMPLETED", "finished_at_us": 2})

    cancel = await api.post(f"/runs/{run['id']}/cancel", {})
    retry = await api.post(f"/runs/{run['id']}/retry", {})
    assert (cancel.status_code, cancel.json()["code"]) == (409, "RUN_ENDED")
    assert (retry.status_code, retry.json()["code"]) == (409, "RUN_COMPLETED")


async def test_an_unstarted_assignment_is_given_back(api: Api) -> None:
    async with dispatching(api):
        await api.post("/workers", registration())
        run = await api.new_run()
        (assignment,) = await claimed(api)
        await api.send("POST", f"/api/v1{PATH}/drain")
        item = {key: assignment[key] for key in ("run_id", "fence", "token")}
        body = {"session_id": "s1", "items": [item]}
        answer = (await api.post(f"{PATH}/releases", body)).json()

    assert answer["items"][0]["status"] == "OK"
    assert (await api.get(f"/runs/{run['id']}")).json()["state"] == "PENDING"


async def test_people_drain_resume_and_remove_workers(api: Api) -> None:
    await api.post("/workers", registration())

    drained = await api.send("POST", f"/api/v1{PATH}/drain")
    resumed = await api.send("POST", f"/api/v1{PATH}/resume")
    listed = (await api.get("/workers")).json()["items"]
    removed = await api.delete(PATH)
    gone = await api.get(PATH)

    assert (drained.json()["state"], resumed.json()["state"]) == ("DRAINING", "READY")
    assert [worker["name"] for worker in listed] == ["box"]
    assert removed.status_code == 204
    assert (gone.status_code, gone.json()["code"]) == (404, "WORKER_NOT_FOUND")


async def test_people_forget_a_gpu_that_is_missing_and_no_other(api: Api) -> None:
    gpus = [{"uuid": "GPU-1", "vram_mb": 8000}, {"uuid": "GPU-2", "vram_mb": 8000}]
    with_both = {"cpu": 4, "ram_mb": 8192, "gpus": gpus}
    await api.post("/workers", {**registration(), "capacity": with_both})
    await api.post("/workers", {**registration(), "capacity": {**with_both, "gpus": gpus[:1]}})

    missing = (await api.get(PATH)).json()["capacity"]["gpus"]
    resumed = await api.post(f"{PATH}/resume", {"gpu": "GPU-2"})
    unknown = await api.post(f"{PATH}/resume", {"gpu": "GPU-2"})

    assert [gpu["problem"].partition(" ")[0] for gpu in missing] == ["", "missing"]
    assert [gpu["uuid"] for gpu in resumed.json()["capacity"]["gpus"]] == ["GPU-1"]
    assert (unknown.status_code, unknown.json()["code"]) == (422, "INVALID_INPUT")


async def test_a_worker_that_holds_runs_is_not_removed(api: Api) -> None:
    async with dispatching(api):
        await api.post("/workers", registration())
        await api.new_run()
        await claimed(api)

        answer = await api.delete(PATH)

    assert (answer.status_code, answer.json()["code"]) == (409, "WORKER_BUSY")

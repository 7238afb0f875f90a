"""What holds for every request: ids, hosts, unknown paths, mistakes of ours."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.server.storage.store import Store
from tests.integration.api.driver import API, Api, Running

pytestmark = pytest.mark.anyio


async def test_every_answer_has_a_request_id_and_is_not_sniffed(api: Api) -> None:
    fine = await api.get("/runs")
    refused = await api.get("/runs/run_unknown")

    assert fine.headers["x-request-id"].startswith("req_")
    assert refused.headers["x-request-id"] == refused.json()["request_id"]
    assert fine.headers["x-content-type-options"] == "nosniff"


async def test_a_request_id_of_the_client_s_own_is_kept(api: Api) -> None:
    answer = await api.get("/runs/run_unknown", headers={"X-Request-ID": "mine-1"})

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine-1"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, 'quote"'])
async def test_a_request_id_that_would_spoil_a_log_is_replaced(api: Api, sent: str) -> None:
    answer = await api.get("/runs", headers={"X-Request-ID": sent})

    assert answer.headers["x-request-id"].startswith("req_")


async def test_another_host_name_is_refused_on_every_path(api: Api) -> None:
    for path in ("/healthz", "/api/v1/runs", "/nowhere"):
        answer = await api.client.get(path, headers={"Host": "rebound.example:5555"})

        assert (answer.status_code, answer.json()["code"]) == (421, "HOST_NOT_ALLOWED")


async def test_a_host_on_the_allow_list_is_answered(running: Running) -> None:
    async with running(allowed_hosts=("box.lan",)) as api:
        answer = await api.get("/runs", headers={"Host": "box.lan:5555"})

    assert answer.status_code == 200


async def test_a_page_of_another_origin_cannot_submit_a_run(api: Api) -> None:
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}

    answer = await api.post("/runs", {"image": "i"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "NOT_ALLOWED")
    assert await api.count_runs() == 0


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "http://localhost@evil.example"]
)
async def test_an_origin_that_is_no_address_of_ours_is_refused(api: Api, origin: str) -> None:
    answer = await api.post("/runs", {"image": "i"}, headers={"Origin": origin})

    assert (answer.status_code, answer.json()["code"]) == (403, "NOT_ALLOWED")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing%00here", "NOT_FOUND"),
        ("GET", "/runs/run_nothing%00", "RUN_NOT_FOUND"),
        ("DELETE", "/runs/run_nothing%00", "METHOD_NOT_ALLOWED"),
        ("GET", "/runs?nothing%00=1", "INVALID_REQUEST"),
        ("GET", "/runs/%ED%A0%80aaaaaaaa", "RUN_NOT_FOUND"),
    ],
)
async def test_an_address_with_odd_characters_is_refused_as_a_problem(
    api: Api, method: str, path: str, code: str
) -> None:
    answer = await api.send(method, API + path)

    assert answer.json()["code"] == code


async def test_an_unknown_path_is_not_found(api: Api) -> None:
    answer = await api.get("/nothing")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_method_is_told_which_ones_there_are(api: Api) -> None:
    answer = await api.delete("/runs")

    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, POST"


async def test_a_mistake_of_ours_is_told_by_its_id_and_logged_with_its_trace(
    api: Api, log_lines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_store: Store, _fn: object) -> None:
        raise ZeroDivisionError("the reason")

    monkeypatch.setattr(Store, "read", broken)

    answer = await api.get("/runs")

    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "the reason" not in answer.text
    (line,) = [line for line in log_lines if line["event"] == "failed"]
    assert line["exc_info"]


async def test_a_store_that_is_gone_is_unavailable(api: Api) -> None:
    api.store.close()

    answer = await api.post("/runs", {"image": "i"})

    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")


async def test_each_request_is_one_line_in_the_log(api: Api, log_lines: list[Any]) -> None:
    await api.get("/runs?owner=ann")

    (line,) = [line for line in log_lines if line["event"] == "request"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/runs", 200)
    assert line["log_level"] == "debug"

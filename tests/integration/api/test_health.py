"""Alive and ready: what who keeps servers running can ask without a key."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gyoza.server.storage.records import Pulse
from tests.integration.api.driver import Api, Running

pytestmark = pytest.mark.anyio


async def until_ready(api: Api) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            answer = await api.send("GET", "/readyz")
            if answer.status_code == 200:
                return answer.json()
            await asyncio.sleep(0.01)


async def test_a_server_with_its_loops_running_is_ready(api: Api) -> None:
    async with api.app.router.lifespan_context(api.app):
        ready = await until_ready(api)

    assert ready["status"] == "ready"
    assert ready["checks"] == {"store": "ok", "dispatcher": "ok", "server": "ok"}


async def test_a_server_that_holds_leases_is_ready_and_says_why_they_are_held(api: Api) -> None:
    hold = timedelta(seconds=60)
    await api.store.write(
        lambda uow: uow.pulse.save(Pulse(uow.now(), brake_until=uow.now() + hold))
    )

    async with api.app.router.lifespan_context(api.app):
        ready = await until_ready(api)

    [note] = ready["notes"]
    assert "more than half of the workers fell silent at once" in note


async def test_a_server_without_a_dispatcher_is_alive_and_not_ready(api: Api) -> None:
    alive = await api.send("GET", "/healthz")
    ready = await api.send("GET", "/readyz")

    assert alive.json()["status"] == "ok"
    assert ready.status_code == 503
    assert ready.json()["checks"]["dispatcher"] == "has not started"


async def test_a_server_over_another_schema_is_alive_and_not_ready(
    api: Api, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "gyoza.db") as beside:
        beside.execute("UPDATE alembic_version SET version_num = 'other'")

    alive = await api.send("GET", "/healthz")
    ready = await api.send("GET", "/readyz")

    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["checks"]["store"]) == (
        503,
        "not available; the log says why",
    )


async def test_a_stopping_server_answers_health_and_nothing_new(api: Api) -> None:
    api.stopping.begin()

    alive = await api.send("GET", "/healthz")
    ready = await api.send("GET", "/readyz")
    refused = await api.get("/runs")

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["checks"]["server"] == "shutting down"
    assert (refused.status_code, refused.json()["code"]) == (503, "SHUTTING_DOWN")
    assert refused.headers["retry-after"]


async def test_health_asks_for_no_key_and_tells_no_secret(running: Running) -> None:
    async with running(api_key="caller-key", worker_key="worker-key") as api:
        alive = await api.send("GET", "/healthz")

    assert alive.status_code == 200
    assert "key" not in alive.text

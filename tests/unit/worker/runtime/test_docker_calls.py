"""How the calls behave when the engine freezes, breaks off, or says no: over a scripted socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientTimeout, web

from gyoza.worker.runtime.docker import DockerRuntime, DockerTimeouts
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerHandle,
    ContainerSpec,
    EngineTimeout,
    EngineUnavailable,
    ImageNotFound,
    NameConflict,
    PullDenied,
    PullProgress,
    RuntimeFault,
)

pytestmark = pytest.mark.anyio

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SPEC = ContainerSpec(name="run-1", image="op:1", labels={"fence": "3"})
HANDLE = ContainerHandle("ab12", "run-1")
IN_NO_TIME = DockerTimeouts(inspect_s=0.1, create_s=0.1, start_s=0.1, signal_s=0.1, remove_s=0.1)


@dataclass
class ScriptedEngine:
    """An HTTP server on a Unix socket that answers each path as it is told."""

    socket: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def on(self, path: str, answer: Answer) -> None:
        self.answers[path] = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/v1.41")
        self.asked.append(path)
        if path == "/version":
            return web.json_response({"ApiVersion": "1.41", "Version": "20.10"})
        return await self.answers[path](request)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[ScriptedEngine]:
    scripted = ScriptedEngine(str(tmp_path / "engine.sock"))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, scripted.socket).start()
    yield scripted
    await runner.cleanup()


@contextlib.asynccontextmanager
async def a_runtime(
    engine: ScriptedEngine, timeouts: DockerTimeouts | None = None
) -> AsyncGenerator[DockerRuntime]:
    runtime = DockerRuntime(engine.socket, timeouts)
    try:
        yield runtime
    finally:
        await runtime.close()


def says(status: int, body: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


async def frozen(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


def streams(*messages: dict[str, Any]) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for message in messages:
            await response.write(json.dumps(message).encode() + b"\n")
        return response

    return answer


def cut_after(data: bytes) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(data)
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


async def test_a_missing_engine_is_unavailable_and_says_what_to_check(tmp_path: Path) -> None:
    runtime = DockerRuntime(str(tmp_path / "nobody.sock"))

    with pytest.raises(EngineUnavailable, match="is it running") as caught:
        await runtime.fingerprint()
    await runtime.close()

    assert caught.value.is_recoverable
    assert not caught.value.charged


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/info", lambda runtime: runtime.fingerprint()),
        ("/images/op:1/json", lambda runtime: runtime.find_image("op:1")),
        ("/containers/create", lambda runtime: runtime.create(SPEC)),
        ("/containers/ab12/start", lambda runtime: runtime.start(HANDLE)),
        ("/containers/ab12/json", lambda runtime: runtime.inspect(HANDLE)),
        ("/containers/ab12/kill", lambda runtime: runtime.kill(HANDLE)),
        ("/containers/ab12", lambda runtime: runtime.remove(HANDLE)),
        ("/containers/json", lambda runtime: runtime.list_managed({})),
    ],
)
async def test_a_frozen_engine_holds_no_call_for_ever(
    engine: ScriptedEngine, path: str, call: Callable[[DockerRuntime], Awaitable[object]]
) -> None:
    engine.on(path, frozen)

    async with a_runtime(engine, IN_NO_TIME) as runtime:
        with pytest.raises(EngineTimeout, match=r"within 0\.1 s"):
            await call(runtime)


async def test_a_create_whose_answer_was_lost_finds_its_container(engine: ScriptedEngine) -> None:
    engine.on("/containers/create", says(409, {"message": 'name "/run-1" is already in use'}))
    engine.on("/containers/run-1/json", says(200, a_container("created", {"fence": "3", "x": "y"})))

    async with a_runtime(engine) as runtime:
        assert await runtime.create(SPEC) == HANDLE


@pytest.mark.parametrize(
    ("status", "labels"), [("created", {"fence": "2"}), ("created", None), ("exited", SPEC.labels)]
)
async def test_a_twin_of_another_fence_or_one_that_ended_is_not_adopted(
    engine: ScriptedEngine, status: str, labels: dict[str, str] | None
) -> None:
    engine.on("/containers/create", says(409, {"message": 'name "/run-1" is already in use'}))
    engine.on("/containers/run-1/json", says(200, a_container(status, labels)))

    async with a_runtime(engine) as runtime:
        with pytest.raises(NameConflict, match="already in use"):
            await runtime.create(SPEC)


async def test_a_wait_on_a_container_that_is_being_removed_does_not_spin(
    engine: ScriptedEngine,
) -> None:
    engine.on("/containers/ab12/wait", says(200, {"StatusCode": 0}))
    engine.on("/containers/ab12/json", says(200, a_container("removing", {})))

    async with a_runtime(engine) as runtime:
        with pytest.raises(ContainerGone, match="removed"):
            await runtime.wait(HANDLE)


async def test_a_wait_costs_one_inspection_at_the_end(engine: ScriptedEngine) -> None:
    engine.on("/containers/ab12/wait", says(200, {"StatusCode": 3}))
    engine.on("/containers/ab12/json", says(200, a_container("exited", {})))

    async with a_runtime(engine) as runtime:
        state = await runtime.wait(HANDLE)

    assert state.exit_code == 3
    assert engine.asked == ["/version", "/containers/ab12/wait", "/containers/ab12/json"]


async def test_a_start_between_the_two_looks_of_a_wait_is_not_missed(
    engine: ScriptedEngine,
) -> None:
    # The engine calls a created container "not running"; by the time we wait for its next exit it
    # has run and ended, and no further exit will ever come.
    statuses = iter(["created", "exited", "exited"])

    async def wait(request: web.Request) -> web.StreamResponse:
        if request.query["condition"] == "not-running":
            return web.json_response({"StatusCode": 0})
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async def inspect(_: web.Request) -> web.StreamResponse:
        return web.json_response(a_container(next(statuses), {}))

    engine.on("/containers/ab12/wait", wait)
    engine.on("/containers/ab12/json", inspect)

    async with a_runtime(engine) as runtime:
        state = await asyncio.wait_for(runtime.wait(HANDLE), 5)

    assert state.exit_code == 3


async def test_a_wait_whose_connection_breaks_is_unavailable(engine: ScriptedEngine) -> None:
    engine.on("/containers/ab12/wait", cut_after(b""))

    async with a_runtime(engine) as runtime:
        with pytest.raises(EngineUnavailable):
            await runtime.wait(HANDLE)


async def test_a_log_that_breaks_off_is_no_end_of_the_log(engine: ScriptedEngine) -> None:
    payload = b"2026-01-01T00:00:00.000000001Z one\n"
    framed = b"\x01\0\0\0" + len(payload).to_bytes(4, "big") + payload
    engine.on("/info", says(200, {"ID": "x", "NCPU": 2, "MemTotal": 1 << 30}))
    engine.on("/containers/ab12/logs", cut_after(framed))

    async with a_runtime(engine) as runtime:
        chunks = runtime.logs(HANDLE)
        first = await anext(chunks)
        with pytest.raises(EngineUnavailable):
            await anext(chunks)

    assert first.data == b"one\n"


async def test_a_pull_tells_of_each_message(engine: ScriptedEngine) -> None:
    engine.on("/info", says(200, {"ID": "x", "NCPU": 2, "MemTotal": 1 << 30}))
    detail = {"current": 5, "total": 10}
    engine.on(
        "/images/create",
        streams(
            {"status": "Pulling from op", "id": "1"},
            {"status": "Downloading", "id": "a", "progressDetail": detail},
        ),
    )
    engine.on("/images/op:1/json", says(200, {"Id": "sha256:1", "Size": 7, "RepoDigests": []}))
    told: list[PullProgress] = []

    async with a_runtime(engine) as runtime:
        info = await runtime.pull("op:1", told.append)

    assert info.id == "sha256:1"
    assert [(progress.done_bytes, progress.total_bytes) for progress in told] == [(0, 0), (5, 10)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(404, {"message": "manifest for op:1 not found: manifest unknown"}), ImageNotFound),
        (streams({"error": "denied: requested access", "errorDetail": {}}), PullDenied),
    ],
)
async def test_a_refused_pull_is_known_early_or_late(
    engine: ScriptedEngine, answer: Answer, kind: type[RuntimeFault]
) -> None:
    engine.on("/info", says(200, {"ID": "x", "NCPU": 2, "MemTotal": 1 << 30}))
    engine.on("/images/create", answer)

    async with a_runtime(engine) as runtime:
        with pytest.raises(kind):
            await runtime.pull("op:1", lambda _: None)


async def test_a_cancelled_pull_hangs_up_so_that_the_engine_stops_too(
    engine: ScriptedEngine,
) -> None:
    begun, hung_up = asyncio.Event(), asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b'{"status":"Waiting"}\n')
            await asyncio.sleep(0.01)
        hung_up.set()
        return response

    engine.on("/info", says(200, {"ID": "x", "NCPU": 2, "MemTotal": 1 << 30}))
    engine.on("/images/create", endless)

    async with a_runtime(engine) as runtime:
        pulling = asyncio.create_task(runtime.pull("op:1", lambda _: None))
        await begun.wait()
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling

        await asyncio.wait_for(hung_up.wait(), 5)


async def test_an_answer_that_is_not_understood_is_the_machinerys_fault(
    engine: ScriptedEngine,
) -> None:
    engine.on("/containers/ab12/json", says(200, {"surprise": True}))

    async with a_runtime(engine) as runtime:
        with pytest.raises(RuntimeFault, match="not understood") as caught:
            await runtime.inspect(HANDLE)

    assert not caught.value.charged


def a_container(status: str, labels: Any) -> dict[str, Any]:
    state = {
        "Status": status,
        "ExitCode": 3,
        "OOMKilled": False,
        "StartedAt": "2026-01-01T00:00:00Z",
        "FinishedAt": "2026-01-01T00:00:01Z",
        "Error": "",
    }
    return {"Id": "ab12", "State": state, "Config": {"Labels": labels}}


async def test_a_pull_may_take_longer_than_the_http_library_would_wait(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiohttp.client.DEFAULT_TIMEOUT", ClientTimeout(total=0.1))

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(0.3)
        await response.write(b'{"status": "Pull complete"}\n')
        return response

    engine.on("/info", says(200, {"ID": "x", "NCPU": 2, "MemTotal": 1 << 30}))
    engine.on("/images/create", slow)
    engine.on("/images/op:1/json", says(200, {"Id": "sha256:1", "Size": 1}))

    async with a_runtime(engine) as runtime:
        info = await runtime.pull("op:1", lambda _: None)

    assert info.id == "sha256:1"

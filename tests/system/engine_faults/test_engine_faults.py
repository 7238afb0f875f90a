"""What an engine does to a run is the machinery's fault, what an op does to itself is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gyoza.op import protocol
from gyoza.worker.runtime.docker import DockerRuntime, DockerTimeouts
from gyoza.worker.runtime.interface import ContainerHandle, ContainerSpec, EngineTimeout
from tests.integration.worker.rig import Rig, a_rig, an_assignment, result_of, until
from tests.support.engine import busybox_image, require_engine
from tests.system.engine_faults.private_engine import PrivateEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gyoza.worker.server_fake import Attempt

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.system,
    pytest.mark.docker,
    pytest.mark.timeout(120),
]

USER = (protocol.CONTAINER_UID, protocol.CONTAINER_GID)
QUICK = DockerTimeouts(inspect_s=1.0, create_s=3.0, start_s=3.0, signal_s=1.0, remove_s=10.0)
ENDLESS = "echo on; while :; do sleep 0.1; done"


@pytest.fixture
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    require_engine().close()  # says loudly that nothing can be tested here
    folder = tmp_path / "engine"
    folder.mkdir()
    with PrivateEngine(folder, live_restore=getattr(request, "param", False)) as private:
        api = private.api()
        busybox_image(api)
        api.close()
        yield private


@asynccontextmanager
async def a_worker(tmp_path: Path, engine: PrivateEngine) -> AsyncGenerator[Rig]:
    folder = tmp_path / f"state-{tmp_path.name}"
    folder.mkdir()
    runtime = DockerRuntime(engine.socket, QUICK)
    try:
        async with a_rig(folder, {}, runtime=runtime, user=USER) as rig:
            yield rig
    finally:
        await runtime.close()


async def assigned(rig: Rig, *command: str, **changes: Any) -> Attempt:
    execution = {"command": list(command), "grace_s": 1}
    return await rig.server.assign(
        an_assignment(image="gyoza-test/busybox:2", execution=execution, **changes)
    )


async def running(rig: Rig, script: str) -> Attempt:
    attempt = await assigned(rig, "sh", "-c", script)
    await until(lambda: "on" in attempt.text)
    return attempt


async def ended(rig: Rig, attempt: Attempt) -> tuple[str | None, bool]:
    """The reason, and whether the user is charged for it."""
    await rig.server.until(attempt)
    return result_of(attempt).reason, result_of(attempt).charged


async def the_handle(rig: Rig) -> ContainerHandle:
    wanted = {"org.gyoza.worker": rig.services.identity.worker_id}
    (found,) = await rig.runtime.list_managed(wanted)
    return found.handle


async def aside(function: Any) -> None:
    """Do something slow to the engine while the worker goes on."""
    await asyncio.to_thread(function)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_an_engine_that_is_started_again_and_takes_the_container_along_is_machinery(
    tmp_path: Path, engine: PrivateEngine, how: str
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await running(rig, ENDLESS)
        await aside(getattr(engine, how))
        await aside(engine.start)

        assert await ended(rig, attempt) == ("ENGINE_FAILURE", False)


@pytest.mark.parametrize("engine", [True], indirect=True)
@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_with_live_restore_a_run_outlives_the_engine(
    tmp_path: Path, engine: PrivateEngine, how: str
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await running(rig, "echo on; sleep 4; echo off")
        await aside(getattr(engine, how))
        await aside(engine.start)
        await ended(rig, attempt)

    assert result_of(attempt).outcome == "COMPLETED", result_of(attempt)
    assert attempt.text == "on\noff\n"


async def test_a_container_ended_by_an_engine_restart_while_the_worker_was_dead_is_machinery(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await running(rig, ENDLESS)
        await rig.crash()
        await aside(engine.kill)
        await aside(engine.start)
        await rig.start_again()

        assert await ended(rig, attempt) == ("ENGINE_FAILURE", False)


async def test_a_frozen_engine_stops_no_heartbeat_and_costs_no_run(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await running(rig, "echo on; sleep 1; echo off")
        engine.freeze()
        beats = len(rig.server.heartbeats)
        await asyncio.sleep(3)
        more = len(rig.server.heartbeats) - beats
        engine.thaw()
        await ended(rig, attempt)

    assert more > 20
    assert (result_of(attempt).outcome, attempt.text) == ("COMPLETED", "on\noff\n")


async def test_a_run_that_a_frozen_engine_does_not_start_is_machinery_and_leaves_nothing(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        await until(lambda: bool(rig.server.registrations))
        await asyncio.sleep(0.5)
        engine.freeze()
        attempt = await assigned(rig, "sh", "-c", ENDLESS)
        reason = await ended(rig, attempt)
        engine.thaw()
        await rig.until_clean()

        assert reason == ("ENGINE_FAILURE", False)
        assert await rig.containers() == 0


async def test_a_container_that_was_made_though_nobody_was_told_is_the_one_that_runs(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        create = rig.runtime.create
        made: list[str] = []

        async def silently(spec: ContainerSpec) -> ContainerHandle:
            handle = await create(spec)
            made.append(handle.id)
            if len(made) == 1:
                raise EngineTimeout("no answer")
            return handle

        rig.runtime.create = silently
        attempt = await assigned(rig, "sh", "-c", "echo on")
        await ended(rig, attempt)

    assert len(made) == 2
    assert made[0] == made[1]
    assert result_of(attempt).outcome == "COMPLETED"


async def test_an_image_that_is_removed_before_it_is_used_is_machinery(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        create = rig.runtime.create

        async def too_late(spec: ContainerSpec) -> ContainerHandle:
            api = engine.api()
            api.call("DELETE", "/images/gyoza-test/busybox:2?force=1")
            api.close()
            return await create(spec)

        rig.runtime.create = too_late
        attempt = await assigned(rig, "sh", "-c", "echo on")

        assert await ended(rig, attempt) == ("ENGINE_FAILURE", False)
        assert "removed from this machine" in result_of(attempt).message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/{}/kill"),
        ("POST", "/containers/{}/kill?signal=TERM"),
        ("POST", "/containers/{}/stop?t=1"),
        ("DELETE", "/containers/{}?force=1"),
    ],
    ids=["kill", "term", "stop", "remove"],
)
async def test_a_container_that_somebody_ends_by_hand_is_machinery(
    tmp_path: Path, engine: PrivateEngine, method: str, path: str
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await running(rig, ENDLESS)
        handle = await the_handle(rig)
        api = engine.api()
        await aside(lambda: api.call(method, path.format(handle.id)))
        reason = await ended(rig, attempt)
        api.close()

    assert reason == ("ENGINE_FAILURE", False)


@pytest.mark.parametrize(
    ("script", "code"),
    [("echo on; kill -9 $$", 137), ("echo on; exit 137", 137), ("echo on; exit 143", 143)],
)
async def test_an_op_that_ends_itself_as_if_killed_is_the_users(
    tmp_path: Path, engine: PrivateEngine, script: str, code: int
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await assigned(rig, "sh", "-c", script)

        assert await ended(rig, attempt) == ("USER_ERROR", True)
        assert result_of(attempt).exit_code == code


async def test_a_cancel_of_ours_is_no_kill_of_somebody_elses(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await running(rig, f"trap '' TERM; {ENDLESS}")
        await rig.server.cancel(attempt)
        await ended(rig, attempt)

    assert result_of(attempt).outcome == "CANCELLED"


@pytest.mark.parametrize(
    ("command", "words"),
    [("no-such-program", "No such file"), ("/etc", "Permission denied")],
)
async def test_a_program_that_cannot_be_run_is_the_users_mistake(
    tmp_path: Path, engine: PrivateEngine, command: str, words: str
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await assigned(rig, command)

        assert await ended(rig, attempt) == ("START_FAILED", True)
        assert words in result_of(attempt).message
        assert not result_of(attempt).retryable


async def test_a_shell_that_finds_no_program_is_an_ordinary_failure(
    tmp_path: Path, engine: PrivateEngine
) -> None:
    async with a_worker(tmp_path, engine) as rig:
        attempt = await assigned(rig, "sh", "-c", "no-such-program")

        assert await ended(rig, attempt) == ("USER_ERROR", True)
        assert result_of(attempt).exit_code == 127

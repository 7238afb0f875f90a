"""Processes in the place of containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza.testing.process_runtime import ProcessRuntime
from gyoza.worker.clock import SystemClock
from gyoza.worker.runtime.interface import (
    ContainerGone,
    ContainerHandle,
    ContainerSpec,
    ContainerState,
    Mount,
    StartFailed,
)

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home/author"}


def a_runtime(folder: Path, *command: str) -> ProcessRuntime:
    return ProcessRuntime(command, folder, ENVIRONMENT, SystemClock())


def a_spec(**changes: object) -> ContainerSpec:
    return ContainerSpec(name="op", image="none", **changes)  # pyright: ignore[reportArgumentType]


async def started(runtime: ProcessRuntime, spec: ContainerSpec) -> ContainerHandle:
    handle = await runtime.create(spec)
    await runtime.start(handle)
    return handle


async def ended(runtime: ProcessRuntime, spec: ContainerSpec) -> tuple[ContainerState, str]:
    handle = await started(runtime, spec)
    state = await runtime.wait(handle)
    text = "".join([f"{c.stream}:{c.data.decode()}" async for c in runtime.logs(handle)])
    await runtime.remove(handle)
    return state, text


async def test_the_exit_code_and_both_streams_come_back(tmp_path: Path) -> None:
    state, text = await ended(
        a_runtime(tmp_path, "sh", "-c", "echo a; echo b >&2; exit 7"), a_spec()
    )

    assert (state.status, state.exit_code) == ("exited", 7)
    assert sorted(text.split()) == ["stderr:b", "stdout:a"]
    assert state.started_at is not None
    assert state.finished_at is not None


async def test_the_folders_are_named_as_this_machine_has_them(tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path, "sh", "-c", "echo $GYOZA_DIR $HOME $GYOZA_ATTEMPT")
    mounts = (Mount(str(tmp_path / "in"), "/gyoza/in"), Mount(str(tmp_path / "out"), "/gyoza/out"))
    env = {"GYOZA_DIR": "/gyoza", "HOME": "/tmp", "GYOZA_ATTEMPT": "1"}

    _, text = await ended(runtime, a_spec(mounts=mounts, env=env))

    assert text == f"stdout:{tmp_path} /home/author 1\n"


async def test_a_signal_reaches_the_process_and_is_remembered(tmp_path: Path) -> None:
    runtime = a_runtime(
        tmp_path, "sh", "-c", "trap 'exit 9' TERM; echo on; while :; do sleep 0.1; done"
    )
    handle = await started(runtime, a_spec())
    logs = runtime.logs(handle)
    await anext(logs)

    await runtime.signal(handle, "SIGTERM")
    state = await runtime.wait(handle)

    assert state.exit_code == 9
    assert await runtime.signals_seen(handle, state) == {15}
    await logs.aclose()
    await runtime.remove(handle)


async def test_a_kill_takes_the_processes_own_children_along(tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path, "sh", "-c", "sleep 1000 & echo $!; wait")
    handle = await started(runtime, a_spec())
    logs = runtime.logs(handle)
    child = int((await anext(logs)).data)

    await runtime.kill(handle)
    state = await runtime.wait(handle)
    rest = [chunk async for chunk in logs]  # ends when nobody holds the streams open any more

    assert state.exit_code == 137
    assert rest == []
    assert child > 0
    await runtime.remove(handle)


async def test_a_child_left_behind_ends_with_the_op(tmp_path: Path) -> None:
    _, text = await ended(a_runtime(tmp_path, "sh", "-c", "sleep 1000 & echo left"), a_spec())

    assert text == "stdout:left\n"


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path, "/nowhere/python")

    with pytest.raises(StartFailed, match="/nowhere/python"):
        await started(runtime, a_spec())


async def test_nothing_is_known_of_what_was_removed(tmp_path: Path) -> None:
    runtime = a_runtime(tmp_path, "true")
    handle = await started(runtime, a_spec(labels={"run": "1"}))
    await runtime.wait(handle)
    assert [each.handle for each in await runtime.list_managed({"run": "1"})] == [handle]

    await runtime.remove(handle)

    assert await runtime.list_managed({}) == []
    with pytest.raises(ContainerGone):
        await runtime.inspect(handle)

"""What a script can make a container do, beyond what every runtime does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gyoza.worker.clock import ManualClock
from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import Append, PullScript, Say, Script
from gyoza.worker.runtime.interface import (
    ContainerHandle,
    ContainerSpec,
    EngineUnavailable,
    ImageNotFound,
    Mount,
    PullDenied,
    PullProgress,
)

pytestmark = pytest.mark.anyio


def a_runtime(
    script: Script, clock: ManualClock | None = None, pull: PullScript | None = None
) -> FakeRuntime:
    registry = None if pull is None else {"op:1": pull}
    return FakeRuntime(clock or ManualClock(), {"op:1": script}, registry=registry)


async def started(runtime: FakeRuntime, folder: Path | None = None) -> ContainerHandle:
    mounts = () if folder is None else (
        Mount(str(folder / "in"), "/gyoza/in"),
        Mount(str(folder / "out"), "/gyoza/out", read_only=False),
    )  # fmt: skip
    handle = await runtime.create(ContainerSpec(name="run-1", image="op:1", mounts=mounts))
    await runtime.start(handle)
    return handle


def text(path: Path) -> str:
    return path.read_text() if path.exists() else "nothing"


async def test_a_script_without_duration_is_over_when_start_returns() -> None:
    runtime = a_runtime(Script(exit_code=5))

    handle = await started(runtime)

    assert (await runtime.inspect(handle)).exit_code == 5


async def test_a_script_runs_as_long_as_the_clock_says() -> None:
    clock = ManualClock()
    runtime = a_runtime(Script(duration_s=3600), clock)
    handle = await started(runtime)

    await clock.advance(3599)
    just_before = await runtime.inspect(handle)
    await clock.advance(1)

    assert just_before.status == "running"
    ended = await runtime.wait(handle)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert (ended.finished_at - ended.started_at).total_seconds() == 3600


async def test_steps_speak_and_append_in_their_time(tmp_path: Path) -> None:
    clock = ManualClock()
    steps = (Append("events.jsonl", b"one\n", 1), Say(b"said\n", "stderr", 1))
    runtime = a_runtime(Script(steps=(*steps, Append("events.jsonl", b"two\n", 1))), clock)
    events = tmp_path / "out" / "events.jsonl"

    handle = await started(runtime, tmp_path)
    await clock.advance(2)
    halfway = text(events)
    await clock.advance(1)

    assert halfway == "one\n"
    assert text(events) == "one\ntwo\n"
    assert [chunk.data async for chunk in runtime.logs(handle)] == [b"said\n"]


async def test_files_are_written_at_the_end_and_not_if_the_script_is_broken_off(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    runtime = a_runtime(Script(duration_s=5, writes={"files/a.txt": b"a"}), clock)
    file = tmp_path / "out" / "files" / "a.txt"
    broken = await started(runtime, tmp_path)
    await runtime.signal(broken, "SIGTERM")
    await clock.advance(10)
    after_break = text(file)
    await runtime.remove(broken)

    whole = await started(runtime, tmp_path)
    await clock.advance(5)
    await runtime.wait(whole)

    assert after_break == "nothing"
    assert text(file) == "a"


async def test_a_program_gets_both_folders_and_gives_the_exit_code(tmp_path: Path) -> None:
    seen: list[tuple[Path | None, Path | None]] = []

    def program(in_dir: Path | None, out_dir: Path | None) -> int:
        seen.append((in_dir, out_dir))
        return 65

    runtime = a_runtime(Script(on_run=program))

    handle = await started(runtime, tmp_path)

    assert seen == [(tmp_path / "in", tmp_path / "out")]
    assert (await runtime.inspect(handle)).exit_code == 65


async def test_a_program_that_crashes_exits_with_1_and_a_traceback() -> None:
    def program(_in: Path | None, _out: Path | None) -> int:
        raise ValueError("no such luck")

    runtime = a_runtime(Script(on_run=program))

    handle = await started(runtime)

    (chunk,) = [chunk async for chunk in runtime.logs(handle)]
    assert (await runtime.inspect(handle)).exit_code == 1
    assert chunk.stream == "stderr"
    assert b"no such luck" in chunk.data


async def test_an_image_of_the_registry_must_be_pulled_first() -> None:
    runtime = a_runtime(Script(), pull=PullScript(size_bytes=100, messages=2))
    told: list[PullProgress] = []
    before = await runtime.find_image("op:1")
    with pytest.raises(ImageNotFound):
        await started(runtime)

    pulled = await runtime.pull("op:1", told.append)

    assert before is None
    assert [(progress.done_bytes, progress.total_bytes) for progress in told] == [
        (50, 100),
        (100, 100),
    ]
    assert await runtime.find_image("op:1") == pulled
    await started(runtime)


async def test_a_pull_takes_its_time_and_may_fail_at_the_end() -> None:
    clock = ManualClock()
    pull = PullScript(duration_s=60, fault=PullDenied("no"))
    runtime = a_runtime(Script(), clock, pull)
    pulling = asyncio.create_task(runtime.pull("op:1", lambda _: None))

    await clock.advance(59)
    still_pulling = not pulling.done()
    await clock.advance(1)

    assert still_pulling
    with pytest.raises(PullDenied):
        await pulling


async def test_a_scripted_fault_meets_the_next_call_only() -> None:
    runtime = a_runtime(Script())
    handle = await started(runtime)
    runtime.fail_next("inspect", EngineUnavailable("away"))

    with pytest.raises(EngineUnavailable):
        await runtime.inspect(handle)

    assert (await runtime.inspect(handle)).exit_code == 0


async def test_removing_a_container_lets_its_followers_go() -> None:
    runtime = a_runtime(Script(steps=(Say(b"x"),), duration_s=9))
    handle = await started(runtime)
    following = asyncio.create_task(_read(runtime, handle))
    await asyncio.sleep(0)

    await runtime.remove(handle)

    assert await asyncio.wait_for(following, 5) in ([], [b"x"])


async def _read(runtime: FakeRuntime, handle: ContainerHandle) -> list[bytes]:
    return [chunk.data async for chunk in runtime.logs(handle)]

"""What must not silence, stop or leak out of a worker: hostile names, full disks, sick engines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from gyoza.worker.runtime.fake import FakeRuntime
from gyoza.worker.runtime.fake_script import Append, Script
from gyoza.worker.runtime.interface import ContainerHandle, EngineTimeout, ManagedContainer
from gyoza.worker.server_port import ServerAway
from tests.integration.worker.rig import IMAGE, FastClock, a_rig, an_assignment, result_of, until

pytestmark = pytest.mark.anyio

ENDLESS = Script(duration_s=float("inf"))


class SlowToStart:
    """An engine that takes its time to start a container, and does it whoever waits no longer."""

    def __init__(self, inner: FakeRuntime) -> None:
        self._inner = inner
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked = asyncio.Event()
        self.may_start = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def start(self, handle: ContainerHandle) -> None:
        self.asked.set()
        task = asyncio.create_task(self._start(handle))
        self._tasks.add(task)
        await asyncio.shield(task)

    async def _start(self, handle: ContainerHandle) -> None:
        await self.may_start.wait()
        await self._inner.start(handle)


def live(containers: list[ManagedContainer]) -> list[str]:
    return [each.handle.name for each in containers if each.state.status == "running"]


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextmanager
def full_disk_under(path: Path) -> Generator[None]:
    """Let every write to a file that is open in this process fail as on a full disk."""
    (number,) = (
        int(each.name)
        for each in Path("/proc/self/fd").iterdir()
        if os.path.realpath(each) == str(path)
    )
    kept, full = os.dup(number), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(full)


async def test_a_folder_whose_name_is_no_text_does_not_silence_the_worker(tmp_path: Path) -> None:
    def on_run(_: Path | None, outer: Path | None) -> int:
        folder = (outer or Path()) / "files" / os.fsdecode(b"\xff")
        folder.mkdir(parents=True)
        (folder / "plain.txt").write_text("x")
        return 0

    async with a_rig(tmp_path, {IMAGE: Script(on_run=on_run), "good:1": Script()}) as rig:
        hostile = await asyncio.wait_for(rig.carry_out(), 5)
        other = await asyncio.wait_for(rig.carry_out(image="good:1"), 5)

    assert result_of(hostile).artifacts == []
    assert any("not UTF-8" in str(event.msg) for event in hostile.events)
    assert result_of(other).outcome == "COMPLETED"


async def test_a_full_disk_does_not_keep_results_from_the_server(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=0.1)) as rig:
        running = await rig.server.assign(an_assignment())
        await rig.until_held()
        await until(lambda: bool(running.phases))
        with full_disk_under(tmp_path / "journal.jsonl"):
            await asyncio.wait_for(rig.server.until(running), 5)
            late = await rig.server.assign(an_assignment())
            await asyncio.wait_for(rig.server.until(late), 5)

    assert result_of(running).outcome == "COMPLETED"
    assert (result_of(late).reason, result_of(late).charged) == ("WORKER_ERROR", False)


async def test_no_event_is_lost_when_the_op_ends_while_its_events_are_read(tmp_path: Path) -> None:
    first = b'{"type": "info", "msg": "first"}\n'
    filling = b'{"type": "progress", "msg": 50}\n' * 30_000
    last = b'{"type": "info", "msg": "last"}\n'
    scripts = {
        f"op:{ms}": Script(
            steps=(Append("events.jsonl", first + filling + last),), duration_s=ms / 1000
        )
        for ms in range(255, 400, 12)
    }

    async with a_rig(tmp_path, scripts) as rig:
        attempts = [await rig.carry_out(image=image) for image in scripts]

    for attempt in attempts:
        words = [event.msg for event in attempt.events if event.type == "INFO"]
        assert words == ["first", "last"]


async def test_a_flood_of_event_lines_does_not_hold_up_the_worker(tmp_path: Path) -> None:
    script = Script(steps=(Append("events.jsonl", b"1\n" * 4_000_000),), duration_s=0.6)
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            began_s = monotonic()
            await asyncio.sleep(0.01)
            gaps.append(monotonic() - began_s)

    async with a_rig(tmp_path, script) as rig:
        watching = asyncio.create_task(watch())
        await rig.carry_out()
        watching.cancel()

    assert max(gaps) < 1


async def test_a_container_cut_off_while_it_starts_does_not_outlive_its_order(
    tmp_path: Path,
) -> None:
    engine: Any = SlowToStart(FakeRuntime(FastClock(1), {IMAGE: ENDLESS}))

    async with a_rig(tmp_path, ENDLESS, runtime=engine) as rig:
        await rig.server.assign(an_assignment())
        await engine.asked.wait()
        rig.server.away = ServerAway("gone")
        rig.agent.stop_now()
        await asyncio.sleep(0)
        engine.may_start.set()
        await asyncio.sleep(0.3)

        assert live(await engine.list_managed({})) == []


async def test_the_second_signal_ends_a_worker_whose_server_is_away(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS, factor=100) as rig:
        await rig.server.assign(an_assignment())
        await rig.until_held()
        rig.server.away = ServerAway("gone")
        rig.agent.drain()
        rig.agent.stop_now()

        assert rig.life
        done, _ = await asyncio.wait([rig.life], timeout=5)
        assert done
        assert await rig.containers() == 0


async def test_a_container_that_a_sick_engine_kept_is_removed_once_it_is_well(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(), factor=200) as rig:
        rig.runtime.fail_next("remove", *[EngineTimeout("frozen")] * 6)
        await rig.carry_out()
        await asyncio.wait_for(until(lambda: not rig.leftovers()), 5)

        assert await rig.containers() == 0


class RemovesUnheard:
    """An engine that keeps a container for long, and at last removes it and does not say so."""

    def __init__(self, inner: FakeRuntime, failures: int) -> None:
        self._inner = inner
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def remove(self, handle: ContainerHandle) -> None:
        self._failures -= 1
        if self._failures == 0:
            await self._inner.remove(handle)
        if self._failures >= 0:
            raise EngineTimeout("frozen")
        await self._inner.remove(handle)


async def test_what_an_engine_removed_without_saying_so_leaves_neither_folder_nor_note(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(), factor=200) as rig:
        sick: Any = RemovesUnheard(rig.runtime, 7)
        rig.services.runtime = sick
        await rig.carry_out()
        # The folder goes first and the note after it: both are awaited, not one for the other.
        journal = rig.services.journal
        await asyncio.wait_for(until(lambda: not rig.leftovers() and not journal.unfinished), 5)

        assert await rig.containers() == 0


class SlowToList:
    """An engine that takes its time to say what is there."""

    def __init__(self, inner: FakeRuntime) -> None:
        self._inner = inner
        self.asked = asyncio.Event()
        self.may_say = asyncio.Event()
        self.answers = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def list_managed(self, labels: dict[str, str]) -> list[ManagedContainer]:
        self.asked.set()
        await self.may_say.wait()
        self.answers += 1
        return await self._inner.list_managed(labels)


async def test_what_was_begun_while_the_engine_took_its_time_is_not_swept_away(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, ENDLESS, factor=200) as rig:
        await until(lambda: bool(rig.server.heartbeats))
        slow: Any = SlowToList(rig.runtime)
        rig.services.runtime = slow
        await asyncio.wait_for(slow.asked.wait(), 5)
        attempt = await rig.server.assign(an_assignment())
        await rig.until_held()
        while not live(await rig.runtime.list_managed({})):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        slow.may_say.set()
        await asyncio.wait_for(until(lambda: slow.answers >= 2), 5)

        assert attempt.result is None
        assert len(live(await rig.runtime.list_managed({}))) == 1


async def test_inputs_can_be_read_whatever_the_workers_umask(tmp_path: Path) -> None:
    modes: list[int] = []

    def on_run(inner: Path | None, _: Path | None) -> int:
        files = (inner or Path()) / "files"
        modes.extend(path.stat().st_mode & 0o777 for path in (files, next(files.iterdir())))
        return 0

    before = os.umask(0o077)
    try:
        async with a_rig(tmp_path, Script(on_run=on_run)) as rig:
            sha256 = rig.server.put(b"once")
            reference = {"sha256": sha256, "size_bytes": 4, "media_type": "", "name": "a"}
            await rig.carry_out(inputs={"text": {"$artifact": reference}})
    finally:
        os.umask(before)

    assert modes == [0o755, 0o755]


async def test_two_hundred_attempts_leave_no_descriptor_task_or_entry(tmp_path: Path) -> None:
    line = b'{"type": "info", "msg": "x"}\n'
    script = Script(steps=(Append("events.jsonl", line),), writes={"files/a": b"x"})

    async with a_rig(tmp_path, script) as rig:
        await rig.carry_out()
        await asyncio.sleep(0.3)
        before = (open_descriptors(), len(asyncio.all_tasks()))
        attempts = [await rig.server.assign(an_assignment()) for _ in range(200)]
        for attempt in attempts:
            await rig.server.until(attempt)
        await rig.until_clean()
        await asyncio.sleep(0.3)

        assert (open_descriptors(), len(asyncio.all_tasks())) == before
        assert rig.services.journal.unfinished == []
        assert rig.agent._reporter._waiting == {}  # noqa: SLF001
        assert await rig.containers() == 0

"""A worker that is killed and started again goes on with what it had begun: nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gyoza.wire.messages import Report, Reported
from gyoza.worker.reporting import microseconds
from gyoza.worker.runtime.fake_script import Append, PullScript, Say, Script
from gyoza.worker.runtime.interface import ContainerSpec
from gyoza.worker.server_fake import Attempt
from gyoza.worker.server_port import ServerAway, ServerRefused, SessionSuperseded
from tests.integration.worker.rig import IMAGE, Rig, a_rig, an_assignment, result_of, until

pytestmark = pytest.mark.anyio

ENDLESS = Script(duration_s=float("inf"))
STUBBORN = Script(duration_s=float("inf"), ignores_sigterm=True)


def a_talker(lines: int, every_s: float) -> Script:
    """An op that writes numbered lines to its log and its events, with progress between them."""
    steps: list[Say | Append] = []
    for n in range(lines):
        steps.append(Say(f"line {n} ä€\n".encode(), after_s=every_s))
        steps.append(Append("events.jsonl", b'{"type": "info", "msg": "event %d"}\n' % n))
        steps.append(Append("events.jsonl", b'{"type": "progress", "msg": %d}\n' % (n % 100)))
    return Script(steps=tuple(steps), writes={"output.json": b'{"n": 1}'})


async def running(rig: Rig, **changes: Any) -> Attempt:
    attempt = await rig.server.assign(an_assignment(**changes))
    await until(lambda: any(event.type == "STARTED" for event in attempt.events))
    return attempt


async def the_container(rig: Rig) -> Any:
    (found,) = await rig.runtime.list_managed({})
    return found


def infos(attempt: Attempt) -> list[Any]:
    return [event.msg for event in attempt.events if event.type == "INFO"]


class Lossy:
    """Passes reports on, loses some before they arrive and the answers of others."""

    def __init__(self, report: Callable[[str, Report], Awaitable[Reported]], seed: int) -> None:
        self._report = report
        self._draw = random.Random(seed)

    async def __call__(self, worker_id: str, message: Report) -> Reported:
        fate = self._draw.random()
        if fate < 0.2:
            raise ServerAway("lost on its way there")
        answer = await self._report(worker_id, message)
        if fate < 0.4:
            raise ServerAway("lost on its way back")
        return answer


@pytest.mark.parametrize("seed", range(4))
async def test_whenever_it_is_killed_the_same_attempt_goes_on_and_nothing_is_lost_or_doubled(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    lines = 60

    async with a_rig(tmp_path, a_talker(lines, 1.0), factor=20) as rig:
        rig.server.report = Lossy(rig.server.report, seed)
        attempt = await rig.server.assign(an_assignment())
        await until(lambda: attempt.is_claimed)
        for _ in range(10):
            await asyncio.sleep(draw.uniform(0, 0.25))
            if await rig.containers():
                await rig.crash()
                await rig.start_again()
        await asyncio.wait_for(rig.server.until(attempt), 20)
        await rig.until_clean()

        assert attempt.text == "".join(f"line {n} ä€\n" for n in range(lines))
        assert infos(attempt) == [f"event {n}" for n in range(lines)]
        assert [event.type for event in attempt.events].count("STARTED") == 1
        assert attempt.events[0].type == "STARTED"
        assert result_of(attempt).outcome == "COMPLETED"
        assert rig.runtime._made == 1  # noqa: SLF001
        assert rig.leftovers() == []
        assert rig.services.journal.unfinished == []


async def test_a_flood_is_taken_up_where_it_was_left_to_the_character(tmp_path: Path) -> None:
    text = "".join(f"{n}€" for n in range(90_000))
    script = Script(steps=(Say(text.encode(), after_s=1),), duration_s=20)

    async with a_rig(tmp_path, script, factor=10) as rig:
        attempt = await running(rig)
        await until(lambda: len(attempt.logs) > 3)
        await rig.crash()
        await rig.start_again()
        await rig.server.until(attempt)

    assert attempt.text == text


async def test_what_ended_meanwhile_is_reported_with_all_it_said(tmp_path: Path) -> None:
    script = Script(
        steps=(Say(b"first\n"), Say(b"last\n", after_s=2)),
        duration_s=1,
        writes={"output.json": b'{"n": 7}'},
    )

    async with a_rig(tmp_path, script, factor=20) as rig:
        attempt = await running(rig, output_specs={"n": {"type": "integer"}})
        await rig.crash()
        await rig.runtime.wait((await the_container(rig)).handle)
        await rig.start_again()
        await rig.server.until(attempt)
        await rig.until_clean()

        assert (result_of(attempt).outcome, result_of(attempt).outputs) == ("COMPLETED", {"n": 7})
        assert attempt.text == "first\nlast\n"
        assert rig.server.registrations[-1].containers[0].state == "exited"
        assert await rig.containers() == 0


async def test_what_was_killed_for_memory_meanwhile_is_told_so(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=2, oom=True), factor=20) as rig:
        attempt = await running(rig)
        await rig.crash()
        await rig.runtime.wait((await the_container(rig)).handle)
        await rig.start_again()
        await rig.server.until(attempt)

    assert (result_of(attempt).reason, result_of(attempt).charged) == ("OOM", True)


async def test_a_container_made_and_never_started_is_started_once(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=1)) as rig:
        reached = asyncio.Event()

        async def start(_: Any) -> None:
            reached.set()
            await asyncio.Event().wait()

        begin, rig.runtime.start = rig.runtime.start, start
        attempt = await rig.server.assign(an_assignment(inputs={"a": 1}))
        await reached.wait()
        # The engine never heard of the start: only this process waits for it.
        crash = asyncio.create_task(rig.crash())
        await asyncio.sleep(0.05)
        for task in asyncio.all_tasks():
            if "_start" in repr(task.get_coro()):
                task.cancel()
        await crash
        rig.runtime.start = begin
        await rig.start_again()
        await rig.server.until(attempt)

        assert rig.server.registrations[-1].containers[0].state == "created"
        assert result_of(attempt).outcome == "COMPLETED"
        assert [event.type for event in attempt.events] == ["STARTED"]
        assert rig.runtime._made == 1  # noqa: SLF001


async def test_a_cancel_that_came_meanwhile_is_carried_out(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN) as rig:
        attempt = await running(rig, execution={"grace_s": 0.1})
        await rig.crash()
        await rig.server.cancel(attempt, "enough")
        await rig.start_again()
        await rig.server.until(attempt)

    assert (result_of(attempt).outcome, result_of(attempt).message) == ("CANCELLED", "enough")


async def test_what_ended_within_its_time_is_no_timeout_however_late_it_is_found(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(duration_s=2), factor=20) as rig:
        attempt = await running(rig, execution={"timeouts": {"run_s": 5}})
        await rig.crash()
        await rig.clock.sleep(10)
        await rig.start_again()
        await rig.server.until(attempt)

    assert result_of(attempt).outcome == "COMPLETED"


async def test_why_a_container_was_told_to_end_is_known_to_the_next_process(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        hanging = asyncio.Event()
        signal = rig.runtime.signal

        async def half(handle: Any, name: str) -> None:
            await signal(handle, name)
            hanging.set()
            await asyncio.Event().wait()

        rig.runtime.signal = half
        attempt = await running(rig, execution={"timeouts": {"run_s": 0.05}})
        await hanging.wait()
        await rig.crash()
        rig.runtime.signal = signal
        await rig.start_again()
        await rig.server.until(attempt)

    assert (result_of(attempt).reason, result_of(attempt).exit_code) == ("RUN_TIMEOUT", 143)


async def test_run_time_counts_from_the_start_of_the_container(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS, factor=50) as rig:
        attempt = await running(rig, execution={"timeouts": {"run_s": 200}})
        started_us = microseconds((await the_container(rig)).state.started_at)
        await rig.crash()
        await rig.clock.sleep(150)
        await rig.start_again()
        await rig.server.until(attempt)
        took_s = (result_of(attempt).finished_at_us - started_us) / 1_000_000

    assert result_of(attempt).reason == "RUN_TIMEOUT"
    assert took_s < 300


async def test_a_container_that_the_server_does_not_know_is_left_alone_until_it_says(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, ENDLESS, factor=200) as rig:
        attempt = await running(rig)
        await rig.crash()
        forgotten = dict(rig.server.attempts)
        rig.server.attempts.clear()
        await rig.start_again()
        # Past two sweeps and two more questions.
        seen = len(rig.server.registrations)
        await until(lambda: len(rig.server.registrations) >= seen + 3)
        left_alone = (await the_container(rig)).state.status
        rig.server.attempts.update(forgotten)
        await rig.until_held()
        await rig.server.cancel(attempt)
        await rig.server.until(attempt)

        assert left_alone == "running"
        assert result_of(attempt).outcome == "CANCELLED"


async def test_a_container_in_limbo_is_removed_once_the_server_says_so(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS, factor=200) as rig:
        await running(rig)
        await rig.crash()
        rig.server.attempts.clear()
        await rig.start_again()
        await until(lambda: len(rig.server.registrations) >= 3)
        rig.server.wants_no_strangers = True
        await asyncio.wait_for(until(lambda: not rig.leftovers()), 5)

        assert await rig.containers() == 0
        assert rig.services.journal.unfinished == []


async def test_a_container_whose_attempt_is_over_is_removed_and_nothing_of_it_reported(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        attempt = await running(rig)
        await rig.crash()
        attempt.is_stale = True
        await rig.start_again()
        await asyncio.wait_for(until(lambda: not rig.leftovers()), 5)

        assert attempt.result is None
        assert await rig.containers() == 0
        assert rig.services.journal.unfinished == []


async def test_what_has_no_container_any_more_is_named_and_forgotten(tmp_path: Path) -> None:
    registry = {IMAGE: PullScript(duration_s=1000)}

    async with a_rig(tmp_path, Script(), registry=registry) as rig:
        attempt = await rig.server.assign(an_assignment())
        await rig.server.until_reported()
        await rig.crash()
        await rig.start_again()
        await asyncio.wait_for(until(lambda: not rig.leftovers()), 5)

        named = [each.run_id for each in rig.server.registrations[-1].begun]
        assert named == [attempt.assignment.run_id]
        assert attempt.is_lost
        assert rig.services.journal.unfinished == []


async def test_a_lost_journal_makes_a_gap_that_is_told_and_nothing_twice(tmp_path: Path) -> None:
    async with a_rig(tmp_path, a_talker(40, 1.0), factor=20) as rig:
        attempt = await rig.server.assign(an_assignment())
        await until(lambda: "line 3" in attempt.text and "event 3" in infos(attempt))
        await rig.crash()
        (tmp_path / "journal.jsonl").unlink()
        await rig.start_again()
        await asyncio.wait_for(rig.server.until(attempt), 20)

    lines = attempt.text.splitlines()
    told = [line for line in lines if not line.startswith("[gyoza")]
    assert len(told) == len(set(told))
    assert len(lines) - len(told) == 1, "the gap is told once"
    assert "lost its journal" in attempt.text
    assert told[-1] == "line 39 ä€"
    events = [each for each in infos(attempt) if "event " in str(each)]
    assert len(events) == len(set(events))
    assert result_of(attempt).outcome == "COMPLETED"


async def test_a_torn_last_line_of_the_journal_stands_for_something_never_sent(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, a_talker(30, 1.0), factor=20) as rig:
        attempt = await rig.server.assign(an_assignment())
        await until(lambda: "line 3" in attempt.text)
        sending = asyncio.Event()

        async def never(worker_id: str, message: Report) -> Reported:  # noqa: ARG001
            sending.set()
            await asyncio.Event().wait()
            raise ServerAway("not even that")

        report, rig.server.report = rig.server.report, never
        await sending.wait()
        await rig.crash()
        rig.server.report = report
        journal = tmp_path / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-20])
        await rig.start_again()
        await asyncio.wait_for(rig.server.until(attempt), 20)

    assert attempt.text == "".join(f"line {n} ä€\n" for n in range(30))
    assert infos(attempt) == [f"event {n}" for n in range(30)]


async def test_heartbeats_go_on_while_an_unwanted_container_is_slow_to_go(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        attempt = await running(rig)
        await rig.crash()
        attempt.is_stale = True
        removing, may_go = asyncio.Event(), asyncio.Event()
        remove = rig.runtime.remove

        async def slowly(handle: Any) -> None:
            removing.set()
            await may_go.wait()
            await remove(handle)

        rig.runtime.remove = slowly
        claims = len(rig.server._claims)  # noqa: SLF001
        beats = len(rig.server.heartbeats)
        await rig.start_again()
        await removing.wait()
        await until(lambda: len(rig.server.heartbeats) >= beats + 3)
        named = rig.server.heartbeats[-1].held
        has_claimed = len(rig.server._claims) > claims  # noqa: SLF001
        may_go.set()
        await until(lambda: not rig.server.heartbeats[-1].held)

        assert [each.run_id for each in named] == [attempt.assignment.run_id], "it takes room still"
        assert not has_claimed


async def test_a_hand_off_leaves_containers_running_and_the_next_process_goes_on(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, a_talker(30, 1.0), factor=20) as rig:
        attempt = await rig.server.assign(an_assignment())
        await until(lambda: "line 3" in attempt.text)
        rig.agent.hand_off()
        assert rig.life
        await asyncio.wait_for(rig.life, 5)
        state = (await the_container(rig)).state
        last = rig.server.heartbeats[-1]
        rig.services.journal.close()
        await rig.start_again()
        await asyncio.wait_for(rig.server.until(attempt), 20)

    assert state.status == "running"
    assert last.leaving
    assert [each.run_id for each in last.held] == [attempt.assignment.run_id]
    assert attempt.text == "".join(f"line {n} ä€\n" for n in range(30))
    assert result_of(attempt).outcome == "COMPLETED"


@pytest.mark.parametrize(
    "fault", [ServerRefused("what is this?", status=418), SessionSuperseded("another process")]
)
async def test_a_worker_that_the_server_turns_away_leaves_its_containers_to_the_next(
    tmp_path: Path, fault: ServerRefused
) -> None:
    async with a_rig(tmp_path, Script(duration_s=40), factor=20) as rig:
        attempt = await running(rig)
        rig.server.fail_next("heartbeat", fault)
        assert rig.life
        with pytest.raises(type(fault)):
            await rig.life
        state = (await the_container(rig)).state
        rig.services.journal.close()
        await rig.start_again()
        await rig.server.until(attempt)

    assert state.status == "running"
    assert result_of(attempt).outcome == "COMPLETED"


async def test_a_container_from_before_a_reboot_was_ended_by_the_machine(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        attempt = await running(rig)
        await rig.crash()
        await rig.runtime.kill((await the_container(rig)).handle)
        await rig.start_again(boot="another boot")
        await rig.server.until(attempt)

    assert (result_of(attempt).reason, result_of(attempt).charged) == ("ENGINE_FAILURE", False)


async def test_only_containers_of_this_worker_are_touched(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        spec = ContainerSpec(name="other", image=IMAGE, labels={"org.gyoza.worker": "wrk_other"})
        other = await rig.runtime.create(spec)
        await until(lambda: bool(rig.server.registrations))
        await rig.crash()
        await rig.start_again()
        await until(lambda: len(rig.server.registrations) > 1)

        assert rig.server.registrations[-1].containers == []
        assert (await rig.runtime.inspect(other)).status == "created"

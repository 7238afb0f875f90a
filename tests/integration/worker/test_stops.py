"""How attempts are ended early, and what becomes of them when the server is away or says no."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gyoza.wire.messages import Report, Reported
from gyoza.worker.reporting import microseconds
from gyoza.worker.runtime.fake_script import Append, PullScript, Say, Script
from gyoza.worker.runtime.interface import ContainerSpec, EngineTimeout
from gyoza.worker.server_fake import Attempt
from gyoza.worker.server_port import (
    ServerAway,
    ServerRefused,
    WorkerUnknown,
)
from tests.integration.worker.rig import IMAGE, Rig, a_rig, an_assignment, result_of, until

pytestmark = pytest.mark.anyio

ENDLESS = Script(duration_s=float("inf"))
STUBBORN = Script(duration_s=float("inf"), ignores_sigterm=True)


async def running(rig: Rig, **changes: Any) -> Attempt:
    """Assign a run and wait until its container runs."""
    attempt = await rig.server.assign(an_assignment(**changes))
    await until(lambda: any(event.type == "STARTED" for event in attempt.events))
    return attempt


async def heartbeats(rig: Rig, more: int) -> None:
    """Wait for so many more heartbeats."""
    seen = len(rig.server.heartbeats)
    await until(lambda: len(rig.server.heartbeats) >= seen + more)


async def test_a_cancelled_op_is_told_why_and_ends_cancelled(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN) as rig:
        attempt = await running(rig, execution={"grace_s": 0.3})
        (folder,) = (tmp_path / "runs").iterdir()
        await rig.server.cancel(attempt, "not needed any more")
        await until((folder / "in" / "cancel.json").exists)
        notice = json.loads((folder / "in" / "cancel.json").read_text())
        await rig.server.until(attempt)
        await rig.until_clean()

        result = result_of(attempt)
        assert (notice["reason"], notice["message"]) == ("CANCEL", "not needed any more")
        assert (result.outcome, result.reason) == ("CANCELLED", "CANCELLED")
        assert result.message == "not needed any more"
        assert (result.exit_code, "STOPPING" in attempt.phases) == (137, True)
        assert await rig.containers() == 0
        assert rig.leftovers() == []


async def test_an_op_that_heeds_sigterm_is_not_waited_for_longer(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        attempt = await running(rig, execution={"grace_s": 100})
        await rig.server.cancel(attempt)
        await rig.server.until(attempt)

    assert result_of(attempt).exit_code == 143


async def test_a_cancel_does_not_wait_for_the_next_heartbeat(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS, heartbeat_s=1000) as rig:
        attempt = await running(rig)
        beats = len(rig.server.heartbeats)
        await rig.server.cancel(attempt)
        await rig.server.until(attempt)

        assert len(rig.server.heartbeats) == beats


async def test_a_cancel_during_the_pull_ends_it_at_once(tmp_path: Path) -> None:
    registry = {IMAGE: PullScript(duration_s=1000)}

    async with a_rig(tmp_path, Script(), registry=registry) as rig:
        attempt = await rig.server.assign(an_assignment())
        await rig.server.until_reported()
        await rig.server.cancel(attempt)
        await rig.server.until(attempt)

    assert result_of(attempt).outcome == "CANCELLED"
    assert [event.type for event in attempt.events] == []


async def test_an_op_over_its_run_time_is_stopped_for_that(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN) as rig:
        attempt = await rig.carry_out(execution={"timeouts": {"run_s": 0.1}, "grace_s": 0})

    result = result_of(attempt)
    assert (result.outcome, result.reason, result.charged) == ("FAILED", "RUN_TIMEOUT", True)


async def test_pull_time_is_not_run_time(tmp_path: Path) -> None:
    registry = {IMAGE: PullScript(duration_s=4)}

    async with a_rig(tmp_path, Script(duration_s=1), registry=registry, factor=20) as rig:
        attempt = await rig.carry_out(execution={"timeouts": {"run_s": 3}})

    assert result_of(attempt).outcome == "COMPLETED"


async def test_a_run_over_its_total_time_is_stopped_for_that(tmp_path: Path) -> None:
    async with a_rig(tmp_path, ENDLESS) as rig:
        deadline_us = microseconds(rig.services.clock.now()) + 100_000
        attempt = await rig.carry_out(deadline_us=deadline_us)

    assert (result_of(attempt).reason, result_of(attempt).retryable) == ("TOTAL_TIMEOUT", False)


async def test_an_op_that_fills_its_folder_is_killed_for_that(tmp_path: Path) -> None:
    script = Script(
        steps=(Append("big", b"x" * 3 * 1024 * 1024),), duration_s=1000, ignores_sigterm=True
    )

    async with a_rig(tmp_path, script, factor=10) as rig:
        attempt = await rig.carry_out(execution={"disk_mb": 2})

    result = result_of(attempt)
    assert (result.reason, result.charged, result.exit_code) == ("DISK_LIMIT", True, 137)
    assert "at most 2 MB" in result.message


async def test_an_op_that_fills_its_folder_and_ends_quickly_does_not_complete(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(writes={"big": b"x" * 3 * 1024 * 1024})) as rig:
        attempt = await rig.carry_out(execution={"disk_mb": 2})

    assert result_of(attempt).reason == "DISK_LIMIT"


async def test_a_superseded_attempt_is_killed_and_nothing_of_it_reported(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN) as rig:
        attempt = await running(rig)
        await rig.server.supersede(attempt)
        await rig.until_clean()

        assert attempt.result is None
        assert await rig.containers() == 0
        assert rig.leftovers() == []


async def test_a_stale_answer_stops_and_discards_that_attempt_only(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN) as rig:
        stale, kept = await running(rig, execution={"grace_s": 100}), await running(rig)
        stale.is_stale = True
        await rig.server.cancel(stale)  # so that it has something to report: its phase
        await until(lambda: len(rig.agent.held_runs) < 2)

        assert rig.agent.held_runs == [kept.assignment.run_id]
        assert stale.result is None


async def test_a_result_outlasts_a_server_that_is_away(tmp_path: Path) -> None:
    script = Script(steps=(Say(b"words\n"),), duration_s=0.5, writes={"output.json": b'{"n": 1}'})

    async with a_rig(tmp_path, script, factor=20) as rig:
        attempt = await running(rig)
        rig.server.away = ServerAway("nobody")
        ((handle, _, _),) = await rig.runtime.list_managed({})
        await rig.runtime.wait(handle)
        kept = rig.leftovers()
        rig.server.away = None
        await rig.server.until(attempt)
        await rig.until_clean()

        assert (result_of(attempt).outcome, attempt.text) == ("COMPLETED", "words\n")
        assert len(kept) == 1, "evidence stays until the result is acknowledged"
        assert rig.leftovers() == []


async def test_an_answer_lost_on_its_way_doubles_nothing(tmp_path: Path) -> None:
    class Forgetful:
        """Takes every report and loses every second answer."""

        def __init__(self, rig: Rig) -> None:
            self.report, self.calls = rig.server.report, 0

        async def __call__(self, worker_id: str, message: Any) -> Any:
            answer = await self.report(worker_id, message)
            self.calls += 1
            if self.calls % 2:
                raise ServerAway("the answer is lost")
            return answer

    script = Script(steps=(Say(b"1\n", after_s=1), Say(b"2\n", after_s=2), Say(b"3\n", after_s=2)))

    async with a_rig(tmp_path, script, factor=20) as rig:
        rig.server.report = Forgetful(rig)
        attempt = await rig.carry_out()

    assert attempt.text == "1\n2\n3\n"
    assert [event.type for event in attempt.events] == ["STARTED"]
    assert [log.seq for log in attempt.logs] == list(range(1, len(attempt.logs) + 1))


async def test_outputs_that_the_server_refuses_fail_the_run_with_its_words(tmp_path: Path) -> None:
    script = Script(duration_s=0.5, writes={"output.json": b'{"n": 1}'})

    async with a_rig(tmp_path, script) as rig:
        attempt = await running(rig)
        attempt.refusals.append("/n: must be less than 1")
        await rig.server.until(attempt)

    result = result_of(attempt)
    assert (result.reason, result.outputs) == ("OUTPUT_INVALID", {})
    assert "must be less than 1" in result.message


async def test_one_unacceptable_report_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=0.8)) as rig:
        bad, good = await running(rig), await running(rig)
        take = rig.server.report

        async def picky(worker_id: str, message: Report) -> Reported:
            if any(item.run_id == bad.assignment.run_id for item in message.items):
                raise ServerRefused("too large", status=413)
            return await take(worker_id, message)

        rig.server.report = picky
        await rig.server.until(good)
        await rig.until_clean()

        assert result_of(good).outcome == "COMPLETED"
        assert bad.result is None, "given up after its barest result was refused, too"
        assert rig.leftovers() == []


async def test_the_first_signal_lets_runs_end_and_gives_back_what_has_not_begun(
    tmp_path: Path,
) -> None:
    scripts = {IMAGE: Script(duration_s=0.8), "slow:1": Script()}
    registry = {"slow:1": PullScript(duration_s=1000)}

    async with a_rig(tmp_path, scripts, registry=registry) as rig:
        begun = await running(rig)
        pulling = await rig.server.assign(an_assignment(image="slow:1"))
        await rig.server.until_reported()
        rig.agent.drain()
        await rig.server.until(pulling)
        beats = len(rig.server.heartbeats)
        await rig.server.until(begun)
        assert rig.life is not None
        await rig.life

        assert pulling.released is not None
        assert result_of(begun).outcome == "COMPLETED"
        assert len(rig.server.heartbeats) > beats, "heartbeats go on while it drains"


async def test_an_assignment_made_while_the_worker_drains_is_given_back(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script(duration_s=0.6)) as rig:
        await running(rig)
        rig.agent.drain()
        late = await rig.server.assign(an_assignment())
        await rig.server.until(late)

    assert late.released is not None


async def test_the_second_signal_stops_containers_uncharged(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN) as rig:
        attempt = await running(rig)
        rig.agent.drain()
        rig.agent.stop_now()
        assert rig.life is not None
        await rig.life

        assert (result_of(attempt).reason, result_of(attempt).charged) == ("WORKER_LOST", False)
        assert await rig.containers() == 0


async def test_a_worker_that_the_server_forgot_registers_again_and_keeps_its_runs(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script(duration_s=0.3)) as rig:
        attempt = await running(rig)
        rig.server.fail_next("heartbeat", WorkerUnknown("who?"))
        await rig.server.until(attempt)

    assert len(rig.server.registrations) == 2
    assert result_of(attempt).outcome == "COMPLETED"


async def test_a_server_that_drains_a_worker_gives_it_nothing_until_it_is_resumed(
    tmp_path: Path,
) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        await rig.carry_out()
        rig.server.is_draining = True
        await heartbeats(rig, 3)
        await rig.carry_out()  # by the claim that waited already
        waiting = await rig.server.assign(an_assignment())
        await heartbeats(rig, 3)
        was_taken = waiting.is_over
        rig.server.is_draining = False
        await rig.server.until(waiting)

    assert not was_taken


async def test_heartbeats_go_on_while_the_engine_hangs(tmp_path: Path) -> None:
    async with a_rig(tmp_path, Script()) as rig:
        hanging = asyncio.Event()

        async def hang(_: ContainerSpec) -> Any:
            await hanging.wait()
            raise EngineTimeout("no answer")

        rig.runtime.create = hang
        attempt = await rig.server.assign(an_assignment())
        await rig.until_held()
        await heartbeats(rig, 5)
        held = rig.server.heartbeats[-1].held
        hanging.set()
        await rig.server.until(attempt)

    assert [each.run_id for each in held] == [attempt.assignment.run_id]
    assert result_of(attempt).reason == "ENGINE_FAILURE"


async def test_a_container_that_does_not_die_makes_the_worker_unwell(tmp_path: Path) -> None:
    async with a_rig(tmp_path, STUBBORN, factor=500) as rig:

        async def kill(handle: Any) -> None:
            """The kernel does not let go of it."""

        rig.runtime.kill = kill
        attempt = await running(rig, execution={"grace_s": 0})
        await rig.server.cancel(attempt)
        await rig.server.until(attempt)

        assert (result_of(attempt).reason, result_of(attempt).charged) == ("ENGINE_FAILURE", False)
        assert "does not die" in rig.services.health.problem

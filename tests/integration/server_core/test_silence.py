"""Lost workers, and all the reasons to believe that they are not lost: amnesty and brake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from gyoza.models import OpRunState
from gyoza.server.loops.rescuer import Rescuer
from gyoza.server.storage.records import Pulse
from gyoza.server.use_cases import leases, patience, workers
from gyoza.wire.messages import Assignment, ContainerReport
from tests.integration.server_core.world import Worker, World

pytestmark = pytest.mark.anyio


def a_rescuer(world: World) -> Rescuer:
    return Rescuer(world.store, world.outside)


async def pass_time(
    world: World, seconds: int, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Let a rescuer live through so many seconds."""
    rescuer = a_rescuer(world)
    for _ in range(seconds):
        world.clock.advance(1)
        meanwhile()
        await rescuer.tick()


def working(world: World, *names: str) -> list[tuple[Worker, Assignment]]:
    """Workers that hold one run each."""
    found: list[tuple[Worker, Assignment]] = []
    for name in names:
        worker = world.worker(name, cpu=1)
        world.submit()
        found.append((worker, worker.take()))
    return found


def states(world: World, holders: list[tuple[Worker, Assignment]]) -> list[OpRunState]:
    return [world.run(assignment.run_id).state for _, assignment in holders]


def suspension(world: World) -> str:
    return world.do(patience.suspension)


# --- the amnesty -------------------------------------------------------------------------------


async def test_a_worker_that_falls_silent_loses_its_run_after_a_lease(world: World) -> None:
    await pass_time(world, 100)
    [(_, held)] = working(world, "box")

    await pass_time(world, 59)
    before = world.run(held.run_id).state
    await pass_time(world, 2)

    assert (before, world.run(held.run_id).state) == (OpRunState.ASSIGNED, OpRunState.PENDING)


async def test_a_database_that_never_had_a_tick_begins_with_an_amnesty(world: World) -> None:
    [(_, held)] = working(world, "box")
    world.clock.advance(100)

    await pass_time(world, 90)
    spared = world.run(held.run_id).state
    await pass_time(world, 2)

    assert (spared, world.run(held.run_id).state) == (OpRunState.ASSIGNED, OpRunState.PENDING)
    assert world.outside.tally.counts["amnesty used"] > 0


async def test_a_server_that_was_away_expires_nothing_for_ninety_seconds(world: World) -> None:
    await pass_time(world, 100)
    [(_, held)] = working(world, "box")
    world.restart()
    world.clock.advance(3600)

    await pass_time(world, 90)
    spared = world.run(held.run_id).state
    said = suspension(world)
    await pass_time(world, 2)

    assert (spared, world.run(held.run_id).state) == (OpRunState.ASSIGNED, OpRunState.PENDING)
    assert "the server itself was away" in said


async def test_a_restart_within_fifteen_seconds_needs_no_amnesty(world: World) -> None:
    await pass_time(world, 100)
    [(_, held)] = working(world, "box")
    await pass_time(world, 50)
    world.restart()
    world.clock.advance(9)

    await pass_time(world, 3)

    assert suspension(world) == ""
    assert world.run(held.run_id).state is OpRunState.PENDING


async def test_a_worker_that_comes_back_within_the_amnesty_goes_on(world: World) -> None:
    await pass_time(world, 100)
    [(worker, held)] = working(world, "box")
    world.clock.advance(600)
    await pass_time(world, 80)

    answer = worker.heartbeat(held)
    await pass_time(world, 30)

    assert answer.stop == []
    assert world.run(held.run_id).state is OpRunState.ASSIGNED


async def test_an_amnesty_outlives_another_restart(world: World) -> None:
    await pass_time(world, 100)
    [(_, held)] = working(world, "box")
    world.clock.advance(600)
    await pass_time(world, 5)

    world.restart()
    await pass_time(world, 80)

    assert "the server itself was away" in suspension(world)
    assert world.run(held.run_id).state is OpRunState.ASSIGNED


def test_a_server_frozen_between_its_look_and_its_deed_harms_nobody(world: World) -> None:
    [(_, held)] = working(world, "box")
    world.do(lambda uow: uow.pulse.save(Pulse(uow.now())))
    world.clock.advance(61)

    lost = world.do(lambda uow: leases.expire_leases(uow, world.outside))

    assert lost == 0
    assert world.run(held.run_id).state is OpRunState.ASSIGNED


async def test_a_clock_that_was_set_back_makes_no_amnesty_longer(world: World) -> None:
    await pass_time(world, 100)
    [(_, held)] = working(world, "box")
    world.clock.advance(7200)
    await a_rescuer(world).tick()
    world.clock.advance(-3600)

    await pass_time(world, 95)

    assert suspension(world) == ""
    assert world.run(held.run_id).state is OpRunState.PENDING


async def test_timeouts_need_no_amnesty(world: World) -> None:
    run = world.submit(timeouts={"queue_s": 5})
    world.clock.advance(6)

    await a_rescuer(world).tick()

    assert world.run(run.id).reason == "QUEUE_TIMEOUT"


async def test_the_pulse_is_noted_every_five_seconds_and_not_more_often(world: World) -> None:
    await a_rescuer(world).tick()
    noted = world.clock.now()

    await pass_time(world, 4)
    kept = world.do(lambda uow: uow.pulse.find())
    await pass_time(world, 1)
    renewed = world.do(lambda uow: uow.pulse.find())

    assert kept is not None
    assert renewed is not None
    assert (kept.ticked_at, renewed.ticked_at) == (noted, noted + timedelta(seconds=5))


# --- the brake ---------------------------------------------------------------------------------


async def test_three_workers_of_four_silent_at_once_are_waited_for(world: World) -> None:
    await pass_time(world, 100)
    fourth = world.worker("fourth", cpu=0)
    silent = working(world, "first", "second", "third")

    await pass_time(world, 60 + 299, fourth.heartbeat)
    held = states(world, silent)
    said = suspension(world)
    await pass_time(world, 3, fourth.heartbeat)

    assert held == [OpRunState.ASSIGNED] * 3
    assert "more than half of the workers fell silent at once" in said
    assert states(world, silent) == [OpRunState.PENDING] * 3
    assert world.outside.tally.counts["brake held"] == 1


async def test_workers_that_fell_silent_at_once_are_waited_for_though_their_beats_differ(
    world: World,
) -> None:
    await pass_time(world, 100)
    silent = working(world, "first", "second", "third")
    for worker, held in silent:
        worker.heartbeat(held)
        await pass_time(world, 4)

    await pass_time(world, 60)

    assert states(world, silent) == [OpRunState.ASSIGNED] * 3


async def test_two_workers_of_two_are_lost_as_usual(world: World) -> None:
    await pass_time(world, 100)
    silent = working(world, "first", "second")

    await pass_time(world, 62)

    assert states(world, silent) == [OpRunState.PENDING] * 2


async def test_three_workers_of_six_are_lost_as_usual(world: World) -> None:
    await pass_time(world, 100)
    others = [world.worker(name, cpu=0) for name in ("a", "b", "c")]
    silent = working(world, "first", "second", "third")

    await pass_time(world, 62, lambda: [each.heartbeat() for each in others])

    assert states(world, silent) == [OpRunState.PENDING] * 3


async def test_idle_workers_that_fell_silent_too_are_counted(world: World) -> None:
    await pass_time(world, 100)
    world.worker("idle", cpu=0)
    world.worker("idle too", cpu=0)
    silent = working(world, "busy")

    await pass_time(world, 62)

    assert states(world, silent) == [OpRunState.ASSIGNED]


async def test_workers_that_were_gone_long_before_are_not_counted(world: World) -> None:
    for name in ("old", "older", "oldest"):
        world.worker(name, cpu=0)
    await pass_time(world, 600)
    silent = working(world, "busy")

    await pass_time(world, 62)

    assert states(world, silent) == [OpRunState.PENDING]


async def test_when_most_come_back_the_few_that_do_not_are_lost_at_once(world: World) -> None:
    await pass_time(world, 100)
    silent = working(world, "first", "second", "third")
    await pass_time(world, 70)
    (first, held), (second, also_held), _ = silent

    first.heartbeat(held)
    second.heartbeat(also_held)
    await pass_time(world, 2)

    assert states(world, silent) == [
        OpRunState.ASSIGNED,
        OpRunState.ASSIGNED,
        OpRunState.PENDING,
    ]
    assert suspension(world) == ""


async def test_the_brake_outlives_the_server(world: World) -> None:
    await pass_time(world, 100)
    silent = working(world, "first", "second", "third")
    await pass_time(world, 200)

    world.restart()
    await pass_time(world, 100)
    held = states(world, silent)
    await pass_time(world, 65)

    assert held == [OpRunState.ASSIGNED] * 3
    assert states(world, silent) == [OpRunState.PENDING] * 3


async def test_a_silent_workers_detail_says_that_its_runs_are_kept(world: World) -> None:
    await pass_time(world, 100)
    working(world, "first", "second", "third")
    await pass_time(world, 70)

    view = world.do(lambda uow: workers.get_worker(uow, "first", world.outside))

    assert view.state == "LOST"
    assert view.detail.startswith("not heard of for 70 s; no lease expires before ")


# --- several rescuers --------------------------------------------------------------------------


async def test_two_rescuers_at_once_lose_an_attempt_once(world: World) -> None:
    await pass_time(world, 100)
    [(_, held)] = working(world, "box")
    await pass_time(world, 59)
    world.clock.advance(2)

    await asyncio.gather(a_rescuer(world).tick(), a_rescuer(world).tick())

    assert world.types(held.run_id) == ["ASSIGNED", "FAILED", "RETRIED"]
    assert world.outside.tally.counts["lease expired"] == 1


async def test_two_rescuers_at_once_end_an_overdue_run_once(world: World) -> None:
    run = world.submit(timeouts={"queue_s": 5})
    world.clock.advance(6)

    await asyncio.gather(a_rescuer(world).tick(), a_rescuer(world).tick())

    assert world.types(run.id) == ["FAILED"]


async def test_two_rescuers_at_once_give_an_unclaimed_assignment_back_once(world: World) -> None:
    world.worker()
    run = world.submit()
    world.dispatch()
    world.clock.advance(31)

    await asyncio.gather(a_rescuer(world).tick(), a_rescuer(world).tick())

    assert world.types(run.id) == ["ASSIGNED", "RELEASED"]


# --- clocks that jump ----------------------------------------------------------------------------


async def test_a_server_clock_that_jumps_ahead_costs_no_run(world: World) -> None:
    [(worker, held)] = working(world, "box")
    await pass_time(world, 100, lambda: worker.heartbeat(held))

    world.clock.advance(3600)
    await a_rescuer(world).tick()
    await pass_time(world, 100, lambda: worker.heartbeat(held))

    assert world.run(held.run_id).state is OpRunState.ASSIGNED


async def test_a_server_clock_that_is_set_back_keeps_nothing_of_a_dead_worker(
    world: World,
) -> None:
    [(_, held)] = working(world, "box")
    await pass_time(world, 100)
    [(dead, other)] = working(world, "next")
    world.clock.advance(-3600)

    await pass_time(world, 301)
    view = world.do(lambda uow: workers.get_worker(uow, dead.id, world.outside))

    assert view.state == "LOST"
    assert [world.run(each.run_id).state for each in (held, other)] == [OpRunState.PENDING] * 2


async def test_a_server_clock_that_is_set_back_costs_a_live_worker_nothing(world: World) -> None:
    [(worker, held)] = working(world, "box")
    await pass_time(world, 100, lambda: worker.heartbeat(held))
    world.clock.advance(-3600)

    await pass_time(world, 301, lambda: worker.heartbeat(held))

    assert world.run(held.run_id).state is OpRunState.ASSIGNED


def test_a_worker_with_another_name_is_the_same_worker(world: World) -> None:
    worker = world.worker("box")
    world.submit()
    held = worker.take()
    container = ContainerReport(
        name="c", run_id=held.run_id, attempt=1, fence=held.fence, state="running"
    )

    worker.name = "renamed"
    answer = worker.register(
        session="s2", containers=[container], begun=[held], machine_id="machine-box"
    )

    assert [each.verdict for each in answer.verdicts] == ["ADOPT"]
    assert world.reserved_on(worker.id) == 1
    assert worker.ends(held).status == "OK"

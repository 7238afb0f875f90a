"""The duties of the server's loops, and all of them running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gyoza.models import OpRunState
from gyoza.server.clock import ManualClock
from gyoza.server.loops.dispatcher import Dispatcher
from gyoza.server.loops.pruner import Pruner
from gyoza.server.loops.roster import Roster
from gyoza.server.use_cases.idempotency import Answer, IdempotencyKey, hash_of, once
from tests.integration.server_core.world import World

pytestmark = pytest.mark.anyio


class PassingClock(ManualClock):
    """Time passes whenever its owner, and not the store, looks at it."""

    passing_s = 0.0

    def now(self) -> datetime:
        self.advance(self.passing_s)
        return super().now()


async def test_the_dispatcher_sleeps_until_the_next_delayed_run_is_due(world: World) -> None:
    due = world.clock.now() + timedelta(seconds=3)
    run = world.submit(due_at=due.isoformat())
    world.worker()
    dispatcher = Dispatcher(world.store, world.outside.settings, world.clock)

    delay_s = await dispatcher.tick()
    world.clock.advance(delay_s)
    await dispatcher.tick()

    assert delay_s == 3
    assert world.run(run.id).state is OpRunState.ASSIGNED


async def test_a_run_that_becomes_due_during_a_tick_is_placed_by_the_next_at_once(
    tmp_path: Path,
) -> None:
    clock = PassingClock()
    world = World(tmp_path / "gyoza.db", clock)
    world.worker()
    due = world.clock.now() + timedelta(seconds=3)
    run = world.submit(due_at=due.isoformat())
    dispatcher = Dispatcher(world.store, world.outside.settings, clock)

    clock.passing_s = 4
    delay_s = await dispatcher.tick()
    await dispatcher.tick()

    assert delay_s <= 0.05
    assert world.run(run.id).state is OpRunState.ASSIGNED
    world.close()


async def test_a_clock_that_was_set_back_makes_no_plan_that_cannot_be_carried_out(
    world: World,
) -> None:
    due = world.clock.now() + timedelta(seconds=3)
    delayed = world.submit(due_at=due.isoformat(), priority=9)
    dispatcher = Dispatcher(world.store, world.outside.settings, world.clock)
    world.clock.advance(4)
    await dispatcher.tick()
    world.clock.advance(-4)
    world.worker(cpu=1)
    waiting = world.submit()

    delay_s = await dispatcher.tick()

    assert delay_s > 0.05  # it does not try again and again
    assert world.run(delayed.id).state is OpRunState.PENDING
    assert world.run(waiting.id).state is OpRunState.ASSIGNED


async def test_one_tick_asks_those_to_make_way_that_the_plan_names(world: World) -> None:
    worker = world.worker(cpu=1)
    run = world.submit(execution={"preemptible": True})
    assignment = worker.take()
    world.submit(priority=90)
    dispatcher = Dispatcher(world.store, world.outside.settings, world.clock)

    delay_s = await dispatcher.tick()

    assert [order.run_id for order in worker.heartbeat(assignment).cancel] == [run.id]
    assert delay_s > 0.05  # what was asked is on its way: no need to look again at once


async def test_one_tick_assigns_everything_that_fits_in_portions(world: World) -> None:
    world.worker(cpu=300, gpus=[])
    for _ in range(16):
        world.submit(constraints={"ram_mb": 512})
    dispatcher = Dispatcher(world.store, world.outside.settings, world.clock)

    await dispatcher.tick()

    assert world.reserved_on("wrk_box") == 16


async def test_ended_runs_are_forgotten_after_their_retention_with_all_they_had(
    world: World,
) -> None:
    ended, waiting = world.submit(), world.submit()
    world.cancel(ended.id)
    key = IdempotencyKey("s", "k", hash_of(b""))
    world.do(lambda uow: once(uow, key, lambda: Answer(200, {})))
    world.clock.advance(31 * 86_400)

    await Pruner(world.store, world.outside.settings).tick()

    left = world.do(lambda uow: [run.id for run in uow.runs.get_many([ended.id, waiting.id])])
    assert left == [waiting.id]
    assert world.do(lambda uow: uow.idempotency.find("s", "k")) is None


async def test_a_submit_reaches_a_waiting_worker_without_any_polling(world: World) -> None:
    worker = world.worker()
    roster = Roster(world.store, world.outside, world.clock)
    roster.start()
    async with world.store.wakeups.subscribe(f"worker:{worker.id}") as waiter:
        await _until(lambda: roster.dispatcher_age_s() is not None)

        run = world.submit()
        woken = await waiter.wait(5)  # the clock stands still: only an event can do this

    await roster.stop()
    assert woken
    assert [each.run_id for each in worker.claim()] == [run.id]


async def test_a_result_makes_room_for_the_next_run_without_any_polling(world: World) -> None:
    worker = world.worker(cpu=1)
    world.submit()
    world.clock.advance(1)
    second = world.submit()
    assignment = worker.take()
    roster = Roster(world.store, world.outside, world.clock)
    roster.start()
    async with world.store.wakeups.subscribe(f"worker:{worker.id}") as waiter:
        await _until(lambda: roster.dispatcher_age_s() is not None)

        worker.ends(assignment)
        woken = await waiter.wait(5)

    await roster.stop()
    assert woken
    assert world.run(second.id).state is OpRunState.ASSIGNED


async def _until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not what():  # noqa: ASYNC110 - the loop announces nothing about itself
            await asyncio.sleep(0.001)

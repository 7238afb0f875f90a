"""What owners had lately: sampled from what they hold, forgotten by halves, weighed by the plan."""

from __future__ import annotations

import pytest

from gyoza.server.use_cases.owner_use import (
    SAMPLE_S,
    is_use_worth_a_sample,
    sample_use,
    used_lately,
)
from tests.integration.server_core.world import World

HOUR_S = 3600.0


def sample(world: World, times: int = 1) -> None:
    settings = world.outside.settings
    for _ in range(times):
        world.clock.advance(SAMPLE_S)
        world.do(lambda uow: sample_use(uow, settings))


def used(world: World) -> dict[str | None, float]:
    settings = world.outside.settings
    return world.do(lambda uow: used_lately(uow, settings))


def test_an_hour_of_half_the_fleet_counts_as_a_quarter(world: World) -> None:
    worker = world.worker(cpu=4)
    world.submit(owner="ada", constraints={"cpu": 2, "ram_mb": 512})
    worker.take()

    sample(world, times=round(HOUR_S / SAMPLE_S))

    assert used(world) == {"ada": pytest.approx(0.25, abs=0.01)}


def test_use_is_forgotten_by_halves_and_then_altogether(world: World) -> None:
    worker = world.worker(cpu=4)
    world.submit(owner="ada", constraints={"cpu": 4, "ram_mb": 512})
    held = worker.take()
    sample(world, times=round(HOUR_S / SAMPLE_S))
    worker.ends(held)

    world.clock.advance(HOUR_S)

    assert used(world) == {"ada": pytest.approx(0.25, abs=0.01)}

    world.clock.advance(12 * HOUR_S)
    sample(world)

    assert used(world) == {}
    assert not world.do(is_use_worth_a_sample)


def test_runs_without_an_owner_are_an_owner_too(world: World) -> None:
    worker = world.worker(cpu=4)
    world.submit(constraints={"cpu": 4, "ram_mb": 512})
    worker.take()

    sample(world)

    assert list(used(world)) == [None]


def test_a_second_server_adds_no_second_sample(world: World) -> None:
    worker = world.worker(cpu=4)
    world.submit(owner="ada", constraints={"cpu": 4, "ram_mb": 512})
    worker.take()
    sample(world)
    before = used(world)
    world.clock.advance(1.0)

    world.do(lambda uow: sample_use(uow, world.outside.settings))

    assert used(world)["ada"] == pytest.approx(before["ada"], rel=0.01)


def test_who_had_much_lately_goes_after_who_had_nothing(world: World) -> None:
    worker = world.worker(cpu=4)
    world.submit(owner="ada", constraints={"cpu": 4, "ram_mb": 512})
    held = worker.take()
    sample(world, times=round(HOUR_S / SAMPLE_S))
    worker.heartbeat()
    worker.ends(held)
    world.submit(owner="ada", constraints={"cpu": 4, "ram_mb": 512})
    world.clock.advance(1.0)
    later = world.submit(owner="bob", constraints={"cpu": 4, "ram_mb": 512})

    assert world.dispatch() == [later.id]

"""Paused ops, limits per op and per owner: kept by the plan, and again when it is applied."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza.server.errors import InvalidInput, OpNotFound, QuotaExceeded, QuotaNotFound
from gyoza.server.scheduling.planner import plan
from gyoza.server.settings import Settings
from gyoza.server.use_cases import dispatch, op_limits, quotas, runs
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import PatchLimits, PutQuota
from tests.integration.server_core.world import World


def limit(world: World, **given: Any) -> dict[str, Any]:
    command = PatchLimits(**given)
    return world.do(lambda uow: op_limits.change_limits(uow, "wordcount", command))


def quota(world: World, owner: str = "ada", **given: Any) -> dict[str, Any]:
    command, settings = PutQuota(owner=owner, **given), world.outside.settings
    return world.do(lambda uow: quotas.put_quota(uow, command, settings))


def with_settings(world: World, **given: Any) -> None:
    outside = world.outside
    changed = outside.settings.model_copy(update=given)
    world.outside = Outside(changed, outside.ids, outside.random)


def summary(world: World, run_id: str) -> str:
    return world.do(lambda uow: runs.explain_run(uow, run_id, world.outside))["summary"]


def test_a_paused_op_takes_runs_and_starts_none_until_it_is_resumed(world: World) -> None:
    world.put()
    world.worker()
    limit(world, paused=True)
    run = world.submit(op_definition="wordcount")

    assert world.dispatch() == []
    assert "paused" in summary(world, run.id)

    limit(world, paused=False)

    assert world.dispatch() == [run.id]


def test_an_op_runs_as_often_at_once_as_it_may(world: World) -> None:
    world.put()
    worker = world.worker()
    limit(world, max_parallel=2)
    for _ in range(3):
        world.submit(op_definition="wordcount")

    assert len(world.dispatch()) == 2
    assert limit(world)["at_work"] == 2

    worker.ends(worker.claim()[0])

    assert len(world.dispatch()) == 1


def test_null_takes_the_limit_off_and_what_is_left_out_stays(world: World) -> None:
    world.put()
    limit(world, paused=True, max_parallel=2)

    found = limit(world, max_parallel=None)

    assert found == {"op": "wordcount", "paused": True, "max_parallel": None, "at_work": 0}


def test_two_dispatchers_together_place_no_more_than_an_op_may(world: World) -> None:
    world.put()
    world.worker()
    limit(world, max_parallel=1)
    first = world.submit(op_definition="wordcount")
    settings = world.outside.settings
    stale = plan(world.do(lambda uow: dispatch.read_snapshot(uow, settings)))
    second = world.submit(op_definition="wordcount", priority=50)

    assert world.dispatch() == [second.id]
    assert [each.run.run_id for each in stale.placements] == [first.id]
    assert world.do(lambda uow: dispatch.apply_placements(uow, stale.placements, settings)) == []


def test_a_plan_from_before_a_pause_places_nothing_of_the_op(world: World) -> None:
    world.put()
    world.worker()
    world.submit(op_definition="wordcount")
    settings = world.outside.settings
    stale = plan(world.do(lambda uow: dispatch.read_snapshot(uow, settings)))

    limit(world, paused=True)

    assert world.do(lambda uow: dispatch.apply_placements(uow, stale.placements, settings)) == []


def test_limits_of_an_op_that_is_not_there_are_refused(world: World) -> None:
    with pytest.raises(OpNotFound):
        limit(world, paused=True)


def test_a_negative_limit_is_refused_where_it_stands(world: World) -> None:
    world.put()

    with pytest.raises(InvalidInput) as caught:
        limit(world, max_parallel=-1)

    assert [fault.pointer for fault in caught.value.faults] == ["/max_parallel"]


def test_an_owner_has_no_more_at_work_than_its_quota(world: World) -> None:
    world.worker()
    quota(world, max_active=1)
    for _ in range(2):
        world.submit(owner="ada")
    other = world.submit(owner="ben")

    placed = world.dispatch()

    assert len(placed) == 2
    assert other.id in placed


def test_the_settings_hold_for_owners_without_a_quota_and_for_runs_without_an_owner(
    world: World,
) -> None:
    world.worker()
    with_settings(world, owner_max_active=1)
    quota(world, "ada", max_active=2)
    for owner in ("ada", "ada", "ada", "ben", "ben", None, None):
        world.submit(owner=owner, constraints={"cpu": 1, "ram_mb": 64})

    placed = [world.run(each).owner for each in world.dispatch()]

    assert sorted(placed, key=str) == [None, "ada", "ada", "ben"]


def test_two_dispatchers_together_give_an_owner_no_more_than_its_quota(world: World) -> None:
    world.worker()
    quota(world, max_active=1)
    world.submit(owner="ada")
    settings = world.outside.settings
    stale = plan(world.do(lambda uow: dispatch.read_snapshot(uow, settings)))
    world.submit(owner="ada", priority=50)

    assert len(world.dispatch()) == 1
    assert world.do(lambda uow: dispatch.apply_placements(uow, stale.placements, settings)) == []


def test_a_submit_over_the_quota_is_refused_with_figures_and_leaves_nothing(world: World) -> None:
    quota(world, max_queued=2)
    world.submit(owner="ada")
    world.submit(owner="ada")

    with pytest.raises(QuotaExceeded, match="owner ada: 2 waiting of at most 2"):
        world.submit(owner="ada")

    assert quota(world, max_queued=2)["queued"] == 2
    assert world.submit(owner="ben").owner == "ben"


def test_what_has_started_waits_no_more_and_makes_room(world: World) -> None:
    world.worker()
    quota(world, max_queued=1)
    world.submit(owner="ada")
    world.dispatch()

    assert world.submit(owner="ada").owner == "ada"


def test_of_a_batch_the_first_are_taken_and_each_of_the_others_is_refused(world: World) -> None:
    with_settings(world, owner_max_queued=2)
    documents = [{"image": "busybox", "owner": "ada"} for _ in range(4)]

    batch = world.do(lambda uow: runs.submit_batch(uow, documents, world.outside))

    assert [isinstance(each, str) for each in batch.outcomes] == [True, True, False, False]
    assert isinstance(batch.outcomes[3], QuotaExceeded)


def test_without_a_quota_of_its_own_an_owner_has_that_of_the_settings_again(world: World) -> None:
    quota(world, max_queued=0)
    with pytest.raises(QuotaExceeded):
        world.submit(owner="ada")

    world.do(lambda uow: quotas.remove_quota(uow, "ada"))

    assert world.submit(owner="ada").owner == "ada"
    with pytest.raises(QuotaNotFound):
        world.do(lambda uow: quotas.remove_quota(uow, "ada"))


def test_a_quota_that_says_nothing_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="expected max_queued, max_active or both"):
        quota(world)


def test_quotas_are_listed_with_what_their_owners_have(world: World) -> None:
    quota(world, "ben", max_active=3)
    quota(world, "ada", max_queued=5)
    world.submit(owner="ada")

    found = world.do(lambda uow: quotas.list_quotas(uow, Settings(owner_max_active=7)))

    assert found == {
        "items": [
            {"owner": "ada", "max_queued": 5, "max_active": 7, "queued": 1, "active": 0},
            {"owner": "ben", "max_queued": None, "max_active": 3, "queued": 0, "active": 0},
        ],
        "defaults": {"max_queued": None, "max_active": 7},
    }

"""A database that was put back to an older state while workers went on: nothing is doubled."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gyoza.models import OpRunState
from gyoza.server.errors import SessionSuperseded
from gyoza.server.storage.store import Store
from gyoza.wire.messages import ContainerReport
from tests.integration.server_core.world import Worker, World


def backed_up(world: World) -> Path:
    kept = world.path.with_suffix(".kept")
    with closing(sqlite3.connect(world.path)) as now, closing(sqlite3.connect(kept)) as then:
        now.backup(then)
    return kept


def restore(world: World, kept: Path) -> None:
    world.store.close()
    for each in world.path.parent.glob(f"{world.path.name}*"):
        if each.name != kept.name:
            each.unlink()
    shutil.copyfile(kept, world.path)
    world.store = Store.open(world.path, clock=world.clock)


def waits(world: World) -> tuple[Worker, str, Path]:
    """A worker, and a run that waits; and a backup of that moment."""
    worker = world.worker()
    run = world.submit()
    return worker, run.id, backed_up(world)


def test_what_a_live_worker_holds_from_the_future_is_stopped_and_done_again(
    world: World,
) -> None:
    worker, run_id, kept = waits(world)
    future = worker.take()
    worker.started(future)
    restore(world, kept)

    told = worker.heartbeat(future)
    late = worker.ends(future, outputs={"n": 1})
    again = worker.take()
    done = worker.ends(again, outputs={"n": 2})

    found = world.run(run_id)
    assert [(each.run_id, each.fence) for each in told.stop] == [(run_id, future.fence)]
    assert (late.status, done.status) == ("STALE", "OK")
    assert (found.state, found.outputs, len(found.attempts)) == (
        OpRunState.COMPLETED,
        {"n": 2},
        1,
    )


def test_a_fence_given_out_twice_is_worth_nothing_in_another_workers_hands(world: World) -> None:
    worker, run_id, kept = waits(world)
    future = worker.take()
    restore(world, kept)
    other = world.worker("other")
    worker.heartbeat(problem="away")
    now = other.take()

    stale = worker.ends(future, outputs={"n": 1})
    done = other.ends(now, outputs={"n": 2})

    assert (now.fence, now.token) == (future.fence, future.token)
    assert (stale.status, done.status) == ("STALE", "OK")
    assert world.run(run_id).outputs == {"n": 2}


def test_a_run_that_had_completed_since_runs_again_once_its_lease_is_over(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    kept = backed_up(world)
    worker.ends(held, outputs={"n": 1})
    restore(world, kept)
    before = world.run(run.id).state

    worker.heartbeat()
    world.clock.advance(61)
    lost = world.expire_leases()

    assert (before, lost) == (OpRunState.ASSIGNED, 1)
    assert world.run(run.id).state is OpRunState.PENDING


def test_containers_of_runs_from_the_future_wait_in_limbo_with_their_room(world: World) -> None:
    worker = world.worker()
    kept = backed_up(world)
    run = world.submit()
    future = worker.take()
    restore(world, kept)
    container = ContainerReport(
        name="c", run_id=run.id, attempt=1, fence=future.fence, state="running", cpu=3
    )

    answer = worker.register(session="s2", containers=[container])

    assert [each.verdict for each in answer.verdicts] == ["LIMBO"]
    assert world.reserved_on(worker.id) == 1


def test_a_process_newer_than_the_backup_must_start_again_and_then_goes_on(world: World) -> None:
    worker = world.worker()
    run = world.submit()
    held = worker.take()
    kept = backed_up(world)
    container = ContainerReport(
        name="c", run_id=run.id, attempt=1, fence=held.fence, state="running"
    )
    worker.register(session="s2", containers=[container])
    restore(world, kept)

    with pytest.raises(SessionSuperseded):
        worker.heartbeat(held)
    answer = worker.register(session="s3", containers=[container])

    assert [each.verdict for each in answer.verdicts] == ["ADOPT"]
    assert worker.ends(held).status == "OK"

"""Of a key's runs at most `limit` are at work, and nobody waits while the key is free."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text

from gyoza.models import OpRun
from gyoza.models.timestamps import format_time
from gyoza.server.errors import InvalidInput
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import runs
from gyoza.wire.messages import Assignment
from tests.integration.server_core.world import Worker, World

KEY = {"key": "camera-{camera}", "limit": 1}


def put(world: World, **concurrency: Any) -> None:
    world.put(
        input_specs={"camera": {"type": "string", "required": True}},
        execution={"concurrency": {**KEY, **concurrency}},
    )


def submit(world: World, camera: str = "north", **given: Any) -> OpRun:
    return world.submit(op_definition="wordcount", inputs={"camera": camera}, **given)


def phase(world: World, run: OpRun) -> tuple[str, str | None]:
    found = world.run(run.id)
    return found.state.value, found.phase


def refused(world: World, **given: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        world.submit(**given)
    return [(fault.pointer, fault.message) for fault in caught.value.faults]


def test_a_run_carries_its_key_with_its_inputs_filled_in(world: World) -> None:
    put(world)

    run = submit(world, "north")

    assert run.execution.concurrency == {"key": "camera-north", "limit": 1}
    assert run.phase is None


def test_the_second_of_a_key_waits_beside_the_queue_and_other_keys_do_not(world: World) -> None:
    put(world)
    worker = world.worker()

    first, second, other = submit(world), submit(world), submit(world, "south")
    world.dispatch()

    assert second.phase == "AWAITING_KEY"
    assert phase(world, second) == ("PENDING", "AWAITING_KEY")
    assert {each.run_id for each in worker.claim()} == {first.id, other.id}


def test_when_a_run_ends_the_next_of_its_key_is_let_in_by_priority_and_then_age(
    world: World,
) -> None:
    put(world)
    worker = world.worker()
    submit(world)
    old, urgent = submit(world), submit(world, priority=9)

    worker.ends(worker.take())

    assert phase(world, urgent) == ("PENDING", None)
    assert phase(world, old) == ("PENDING", "AWAITING_KEY")
    assert worker.take().run_id == urgent.id


def test_a_batch_enters_as_far_as_the_key_has_room(world: World) -> None:
    put(world, limit=2)
    documents = [{"op_definition": "wordcount", "inputs": {"camera": "a"}} for _ in range(5)]

    batch = world.do(lambda uow: runs.submit_batch(uow, documents, world.outside))

    phases = Counter(world.run(str(each)).phase for each in batch.outcomes)
    assert phases == {None: 2, "AWAITING_KEY": 3}


def test_a_cancelled_run_lets_the_next_in(world: World) -> None:
    put(world)
    first, second = submit(world), submit(world)

    world.cancel(first.id)

    assert phase(world, second) == ("PENDING", None)


def test_a_lost_attempt_keeps_the_key_until_its_container_is_surely_gone(world: World) -> None:
    put(world)
    lost = world.worker("lost")
    held = lost.take() if submit(world) else None
    second = submit(world)
    world.clock.advance(61)
    world.expire_leases()

    assert phase(world, second) == ("PENDING", "AWAITING_KEY")
    assert world.dispatch() == []

    lost.heartbeat()

    assert held is not None
    assert {phase(world, second)[1], world.run(held.run_id).phase} <= {None, "BACKOFF"}


def test_explain_names_the_run_that_has_the_key(world: World) -> None:
    put(world)
    worker = world.worker()
    submit(world)
    held = worker.take()
    second = submit(world)

    found = world.do(lambda uow: runs.explain_run(uow, second.id, world.outside))

    assert held.run_id in found["summary"]
    assert "camera-north" in found["summary"]


def test_delayed_runs_come_to_wait_for_their_key_when_they_are_due(world: World) -> None:
    put(world)
    due_at = format_time(world.clock.now().replace(microsecond=0))
    world.clock.advance(-30)
    delayed = [submit(world, due_at=due_at) for _ in range(3)]

    world.clock.advance(60)
    world.do(lambda uow: uow.runs.ripen(uow.now()))

    assert sorted(str(phase(world, each)[1]) for each in delayed) == [
        "AWAITING_KEY",
        "AWAITING_KEY",
        "None",
    ]


def test_a_placeholder_is_an_input_that_the_op_declares(world: World) -> None:
    with pytest.raises(InvalidInput, match=r"\{camera\} is no input of this op"):
        world.put(input_specs={"text": {"type": "string"}}, execution={"concurrency": {**KEY}})


def test_a_placeholder_is_no_list(world: World) -> None:
    with pytest.raises(InvalidInput, match="is of type array"):
        world.put(input_specs={"camera": {"type": "array"}}, execution={"concurrency": {**KEY}})


def test_every_fault_of_a_key_is_told_at_once_where_it_is(world: World) -> None:
    wrong = {"key": "a-{", "limit": 0, "scope": "op"}

    found = refused(world, image="busybox", execution={"concurrency": wrong})

    assert [pointer for pointer, _ in found] == [
        "/execution/concurrency/scope",
        "/execution/concurrency/key",
        "/execution/concurrency/limit",
    ]


def test_a_run_whose_input_cannot_fill_its_key_is_refused(world: World) -> None:
    found = refused(world, image="busybox", execution={"concurrency": {**KEY}})

    assert found == [
        (
            "/execution/concurrency/key",
            "input camera is not given, and the concurrency key is made of it",
        )
    ]


class Keys(RuleBasedStateMachine):
    """Any order of submits, assignments, ends, losses, cancels and retries over three keys."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.world = World(Path(self.folder.name) / "gyoza.db")
        self.limits = {"a": 1, "b": 2, "c": 3}
        self.worker: Worker = self.world.worker(cpu=4)
        self.held: list[Assignment] = []
        self.ended: list[str] = []

    def teardown(self) -> None:
        self.world.close()
        self.folder.cleanup()

    @rule(
        key=st.sampled_from("abc"), priority=st.integers(0, 3), delay_s=st.sampled_from([0, 0, 5])
    )
    def submit(self, key: str, priority: int, delay_s: int) -> None:
        due_at = None
        if delay_s:
            self.world.clock.advance(delay_s)
            due_at = format_time(self.world.clock.now())
            self.world.clock.advance(-delay_s)
        self.world.submit(
            priority=priority,
            due_at=due_at,
            retry_policy={"max_attempts": 2, "backoff_ms": 2000},
            execution={"concurrency": {"key": key, "limit": self.limits[key]}},
        )

    @rule()
    def assign(self) -> None:
        self.world.dispatch()
        self.held += self.worker.claim()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(["COMPLETED", "FAILED", "release"]))
    def end(self, data: st.DataObject, outcome: str) -> None:
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if outcome == "release":
            self.worker.release(held)
        else:
            self.worker.ends(held, outcome)
            self.ended.append(held.run_id)

    @precondition(lambda self: self.held)
    @rule()
    def lose(self) -> None:
        """The worker falls silent, and comes back with its containers running."""
        self.world.clock.advance(61)
        self.world.expire_leases()
        self.worker.heartbeat(*self.held)
        self.world.dispatch()

    @rule()
    def come_back_empty(self) -> None:
        self.held = [each for each in self.held if self.world.run(each.run_id).fence == each.fence]
        self.worker.heartbeat(*self.held)

    @rule(seconds=st.sampled_from([1, 5, 10]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)
        self.worker.heartbeat(*self.held)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ids = self._ids("state = 'PENDING'")
        if ids:
            self.world.cancel(data.draw(st.sampled_from(ids)))

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        ids = self._ids("state IN ('FAILED', 'CANCELLED')")
        if ids:
            self.world.retry(data.draw(st.sampled_from(ids)))

    @invariant()
    def a_key_is_never_over_full_and_nobody_waits_while_it_is_free(self) -> None:
        for key, limit in self.limits.items():
            held, ready, waiting = self.world.do(lambda uow, key=key: counts(uow, key))
            assert held <= limit
            assert not waiting or held + ready >= limit

    def _ids(self, condition: str) -> list[str]:
        return self.world.do(
            lambda uow: list(
                uow._transaction.connection.execute(  # noqa: SLF001 - a look behind the scenes
                    text(f"SELECT id FROM op_runs WHERE {condition} ORDER BY id")
                ).scalars()
            )
        )


def counts(uow: UnitOfWork, key: str) -> tuple[int, int, int]:
    """Attempts that hold a key, runs that may be placed, runs that wait for it; by full scans."""
    connection = uow._transaction.connection  # noqa: SLF001 - a look behind the scenes
    held = "SELECT count(*) FROM reservations WHERE freed_us IS NULL AND concurrency_key = :key"
    waits = "SELECT count(*) FROM op_runs WHERE state = 'PENDING' AND concurrency_key = :key"
    ready = f"{waits} AND held_until_us IS NULL AND awaits IS NULL"
    beside = f"{waits} AND awaits = 'AWAITING_KEY'"
    found = [
        connection.execute(text(each), {"key": key}).scalar() for each in (held, ready, beside)
    ]
    return found[0] or 0, found[1] or 0, found[2] or 0


TestKeys = Keys.TestCase
TestKeys.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_a_completion_costs_the_same_however_many_wait_for_its_key(world: World) -> None:
    looked = steps_of_completion(world, waiting=20)

    assert looked == steps_of_completion(world, waiting=400)


def steps_of_completion(world: World, waiting: int) -> int:
    """How many statements the completion of a run of a key takes."""
    key = f"key-{waiting}"
    worker = world.worker(f"box-{waiting}", tags={"for": key})
    document: dict[str, Any] = {
        "image": "busybox",
        "execution": {"concurrency": {"key": key, "limit": 1}, "selectors": {"for": key}},
    }
    world.do(lambda uow: runs.submit_batch(uow, [document] * waiting, world.outside))
    held = worker.take()
    counted = Statements(world.store)
    worker.ends(held)
    return counted.stop()


class Statements:
    """Counts the statements of the writer."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        self._connection: Any = None
        store.write_now(self._listen)

    def _listen(self, uow: UnitOfWork) -> None:
        self._connection = uow._transaction.connection  # noqa: SLF001 - a look behind the scenes
        self._driver = self._connection.connection.driver_connection
        self._driver.set_trace_callback(self._note)

    def _note(self, _: str) -> None:
        self.count += 1

    def stop(self) -> int:
        self._driver.set_trace_callback(None)
        return self.count

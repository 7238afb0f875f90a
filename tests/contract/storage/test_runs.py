"""What every engine promises about runs: exact, guarded, complete or absent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from gyoza.models import EventType, OpAttempt, OpDefinition, OpRun, OpRunState
from gyoza.models.ids import new_id
from gyoza.models.lifecycle import replay
from gyoza.server.clock import ManualClock
from gyoza.server.errors import RunNotFound, Superseded
from gyoza.server.storage.records import Destination, RunFilter
from gyoza.server.storage.schema import op_runs
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from tests.support import strategies

SLOW_STORE = settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def a_run(**fields: Any) -> OpRun:
    return OpRun.create("busybox", **fields)


def added(store: Store, *runs: OpRun) -> None:
    store.write_now(lambda uow: uow.runs.add(runs))


def changed(store: Store, run_id: str, change: Callable[[OpRun], object]) -> OpRun:
    def do(uow: UnitOfWork) -> OpRun:
        run = uow.runs.get(run_id)
        change(run)
        uow.runs.save(run)
        return run

    return store.write_now(do)


def loaded(store: Store, run_id: str) -> OpRun:
    return store.read_now(lambda uow: uow.runs.get(run_id))


class TestExactness:
    @SLOW_STORE
    @given(data=st.data())
    def test_whatever_happened_to_a_run_comes_back_equal(
        self, store: Store, data: st.DataObject
    ) -> None:
        run = data.draw(strategies.new_runs)
        added(store, run)

        for _ in range(data.draw(st.integers(0, 6))):
            run = _saved(store, data.draw(strategies.steps(run)))

            assert loaded(store, run.id) == run

    @SLOW_STORE
    @given(run=strategies.new_runs)
    def test_a_new_run_comes_back_equal(self, store: Store, run: OpRun) -> None:
        added(store, run)

        assert loaded(store, run.id) == run

    @SLOW_STORE
    @given(definition=strategies.definitions)
    def test_a_definition_comes_back_equal(self, store: Store, definition: OpDefinition) -> None:
        definition.id = new_id("op")  # the store outlives an example
        store.write_now(lambda uow: uow.definitions.add(definition))

        found = store.read_now(lambda uow: uow.definitions.find(definition.id))

        assert found == definition

    def test_events_come_back_in_the_attempts_they_belong_to(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = a_run(now=clock.now())
        added(store, run)
        changed(store, run.id, lambda each: each.assign("wrk_1", now=clock.now()))
        changed(store, run.id, lambda each: each.fail("no", reason="OOM", now=clock.now()))
        changed(store, run.id, lambda each: each.retry(force=True, now=clock.now()))

        found = store.read_now(lambda uow: uow.runs.with_events(run.id))

        types = [[event.type.value for event in each.events] for each in found.attempts]
        assert types == [["ASSIGNED", "FAILED"], ["RETRIED"]]

    @SLOW_STORE
    @given(data=st.data())
    def test_replaying_the_stored_events_arrives_at_the_stored_state(
        self, store: Store, data: st.DataObject
    ) -> None:
        run = data.draw(strategies.new_runs)
        added(store, run)
        for _ in range(data.draw(st.integers(1, 8))):
            run = _saved(store, data.draw(strategies.steps(run)))

        stored = store.read_now(lambda uow: uow.runs.events(run.id, 0, 1000))

        assert replay(each.entry.type for each in stored) is loaded(store, run.id).state
        assert [each.number for each in stored] == list(range(1, len(stored) + 1))


class TestGuardedSave:
    def test_a_lost_race_runs_the_function_again_on_what_is_stored_now(self, store: Store) -> None:
        run = a_run()
        added(store, run)
        seen: list[int] = []

        def raise_priority(uow: UnitOfWork) -> None:
            mine = uow.runs.get(run.id)
            seen.append(mine.priority)
            if len(seen) == 1:
                _somebody_else_writes(uow, run.id)
            mine.set_priority(mine.priority + 1)
            uow.runs.save(mine)

        store.write_now(raise_priority)

        assert seen == [0, 0]  # the other write was part of what was rolled back
        assert loaded(store, run.id).priority == 1

    def test_after_five_lost_races_the_caller_hears_of_it_and_nothing_is_stored(
        self, store: Store
    ) -> None:
        run = a_run()
        added(store, run)
        tries: list[str] = []

        def always_late(uow: UnitOfWork) -> None:
            tries.append("again")
            mine = uow.runs.get(run.id)
            _somebody_else_writes(uow, run.id)
            mine.set_priority(9)
            uow.runs.save(mine)

        with pytest.raises(Superseded):
            store.write_now(always_late)

        assert len(tries) == 5
        assert loaded(store, run.id) == run

    def test_a_run_that_was_not_loaded_here_is_not_saved(self, store: Store) -> None:
        run = a_run()
        added(store, run)

        with pytest.raises(LookupError, match=run.id):
            store.write_now(lambda uow: uow.runs.save(run))

    def test_two_saves_in_one_unit_of_work_both_count(self, store: Store) -> None:
        run = a_run()
        added(store, run)

        def twice(uow: UnitOfWork) -> None:
            mine = uow.runs.get(run.id)
            mine.assign("wrk_1")
            uow.runs.save(mine)
            mine.release()
            uow.runs.save(mine)

        store.write_now(twice)

        numbers = store.read_now(lambda uow: uow.runs.events(run.id))
        assert [each.entry.type.value for each in numbers] == ["ASSIGNED", "RELEASED"]

    def test_a_second_active_attempt_of_a_run_is_refused_by_the_database(
        self, store: Store
    ) -> None:
        run = a_run()
        added(store, run)

        def smuggle(uow: UnitOfWork) -> None:
            mine = uow.runs.get(run.id)
            smuggled = OpAttempt(f"{run.id}_att_2", run.id, 2, OpRunState.PENDING)
            mine._attempts.append(smuggled)  # noqa: SLF001 - no call of the model does this
            uow.runs.save(mine)

        with pytest.raises(IntegrityError):
            store.write_now(smuggle)

    def test_eight_writers_at_once_number_events_without_gaps(self, store: Store) -> None:
        run = a_run()
        added(store, run)
        start = threading.Barrier(8)

        def write_ten() -> None:
            start.wait()
            for _ in range(10):
                changed(store, run.id, lambda each: each.add_event(EventType.INFO, "here"))

        threads = [threading.Thread(target=write_ten) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        stored = store.read_now(lambda uow: uow.runs.events(run.id, 0, 1000))
        assert [each.number for each in stored] == list(range(1, 81))
        assert store.read_now(lambda uow: uow.runs.last_event_number(run.id)) == 80


class TestAllOrNothing:
    def test_an_event_and_its_outbox_rows_are_written_together(self, open_store: Any) -> None:
        wanted = [Destination("all"), Destination("ends", frozenset({EventType.CANCELLED}))]
        with open_store(wanted) as store:
            run = a_run()
            added(store, run)
            changed(store, run.id, lambda each: each.assign("wrk_1"))
            changed(store, run.id, lambda each: each.cancel("enough"))

            everything = store.read_now(lambda uow: uow.outbox.unsent("all", 10))
            ends = store.read_now(lambda uow: uow.outbox.unsent("ends", 10))

            assert [row.event_id for row in everything] == [f"{run.id}:1", f"{run.id}:2"]
            assert [row.event_id for row in ends] == [f"{run.id}:2"]

    def test_what_was_sent_waits_no_more(self, open_store: Any) -> None:
        with open_store([Destination("all")]) as store:
            run = a_run()
            added(store, run)
            changed(store, run.id, lambda each: each.assign("wrk_1"))
            [row] = store.read_now(lambda uow: uow.outbox.unsent("all", 10))

            store.write_now(lambda uow: uow.outbox.mark_sent([row.id]))

            assert store.read_now(lambda uow: uow.outbox.unsent("all", 10)) == []

    def test_without_destinations_there_are_no_outbox_rows(self, store: Store) -> None:
        run = a_run()
        added(store, run)
        changed(store, run.id, lambda each: each.assign("wrk_1"))

        assert store.read_now(lambda uow: uow.outbox.unsent("all", 10)) == []

    @pytest.mark.anyio
    async def test_a_function_that_raises_leaves_nothing_behind(self, open_store: Any) -> None:
        with open_store([Destination("all")]) as store:
            old, new = a_run(), a_run()
            added(store, old)

            def fail_late(uow: UnitOfWork) -> None:
                uow.runs.add([new])
                run = uow.runs.get(old.id)
                run.assign("wrk_1")
                uow.runs.save(run)
                raise KeyError("too late")

            async with store.wakeups.subscribe(f"run:{old.id}") as waiter:
                with pytest.raises(KeyError, match="too late"):
                    await store.write(fail_late)

                assert not await waiter.wait(0.01)
            with pytest.raises(RunNotFound):
                loaded(store, new.id)
            assert loaded(store, old.id) == old
            assert store.read_now(lambda uow: uow.runs.events(old.id)) == []
            assert store.read_now(lambda uow: uow.outbox.unsent("all", 10)) == []

    def test_a_failing_write_does_not_hurt_those_that_share_its_commit(self, store: Store) -> None:
        runs = [a_run() for _ in range(20)]
        gate = threading.Event()
        outcomes: list[BaseException | None] = [None] * len(runs)

        def write(index: int) -> None:
            def add_one(uow: UnitOfWork) -> None:
                uow.runs.add([runs[index]])
                if index % 3 == 0:
                    raise KeyError(index)

            try:
                store.write_now(add_one)
            except KeyError as error:
                outcomes[index] = error

        blocker = threading.Thread(target=lambda: store.write_now(lambda _: gate.wait(10)))
        blocker.start()
        threads = [threading.Thread(target=write, args=(index,)) for index in range(len(runs))]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in [blocker, *threads]:
            thread.join()

        stored = store.read_now(lambda uow: uow.runs.get_many([run.id for run in runs]))
        assert [run.id for run in stored] == [r.id for i, r in enumerate(runs) if i % 3]
        assert [error is not None for error in outcomes] == [i % 3 == 0 for i in range(len(runs))]

    @pytest.mark.anyio
    async def test_topics_are_announced_after_the_commit(self, store: Store) -> None:
        run = a_run()

        async with store.wakeups.subscribe("dispatch") as waiter:
            await store.write(lambda uow: uow.runs.add([run]))

            assert await waiter.wait(5)
            assert not await waiter.wait(0)
            assert (await store.read(lambda uow: uow.runs.get(run.id))) == run

    def test_everything_is_there_after_a_restart(self, open_store: Any) -> None:
        run = a_run(inputs={"text": "grüße \U0001f95f"})
        with open_store() as store:
            added(store, run)
            cluster = store.read_now(lambda uow: uow.cluster())

        with open_store() as store:
            assert loaded(store, run.id) == run
            assert store.read_now(lambda uow: uow.cluster()) == cluster


class TestLists:
    def test_pages_are_newest_first_and_neither_repeat_nor_skip(
        self, store: Store, clock: ManualClock
    ) -> None:
        runs: list[OpRun] = []
        for index in range(7):
            clock.advance(index % 2)  # some share their moment, and the id decides
            runs.append(a_run(now=clock.now()))
        added(store, *runs)
        found: list[OpRun] = []

        position: str | None = None
        for _ in range(4):
            page = _page(store, RunFilter(), position, 2)
            found += page
            position = store.read_now(lambda uow, last=page[-1]: uow.runs.position(last))

        expected = sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True)
        assert found == expected
        assert _page(store, RunFilter(), position, 2) == []

    def test_every_filter_narrows_the_list(self, store: Store) -> None:
        wanted = a_run(op_definition="count", owner="ada", tags={"k": "v", "x": "y"})
        other = a_run(op_definition="draw", owner="bob", tags={"k": "w"})
        store.write_now(lambda uow: uow.runs.add([wanted], batch_id="bat_1"))
        added(store, other)
        changed(store, wanted.id, lambda run: run.assign("wrk_1"))

        filters = [
            RunFilter(states=(OpRunState.ASSIGNED, OpRunState.RUNNING)),
            RunFilter(op="count"),
            RunFilter(owner="ada"),
            RunFilter(worker="wrk_1"),
            RunFilter(batch="bat_1"),
            RunFilter(tags=(("k", "v"),)),
            RunFilter(tags=(("k", "v"), ("x", "y"))),
        ]

        assert [[run.id for run in _page(store, each, None, 9)] for each in filters] == [
            [wanted.id]
        ] * len(filters)
        assert _page(store, RunFilter(tags=(("k", "v"), ("x", "z"))), None, 9) == []

    def test_counts_name_every_state(self, store: Store) -> None:
        added(store, a_run(), a_run())

        counts = store.read_now(lambda uow: uow.runs.count_by_state())

        assert counts == {state: 2 * (state is OpRunState.PENDING) for state in OpRunState}

    def test_ids_are_found_by_their_beginning(self, store: Store) -> None:
        added(store, *(a_run(id=f"run_{name}") for name in ("aa1", "aa2", "aa3", "ab")))

        found = store.read_now(lambda uow: uow.runs.ids_with_prefix("run_aa"))

        assert found == ["run_aa1", "run_aa2"]

    def test_many_runs_come_in_the_order_asked_for_and_unknown_ones_are_left_out(
        self, store: Store
    ) -> None:
        runs = [a_run() for _ in range(3)]
        added(store, *runs)

        found = store.read_now(
            lambda uow: uow.runs.get_many([runs[2].id, "run_unknown", runs[0].id, runs[2].id])
        )

        assert found == [runs[2], runs[0]]

    def test_old_ended_runs_are_pruned_with_all_that_hangs_on_them(
        self, store: Store, clock: ManualClock
    ) -> None:
        old, young, waiting = (a_run(now=clock.now(), tags={"k": "v"}) for _ in range(3))
        added(store, old, young, waiting)
        changed(store, old.id, lambda run: run.cancel("no", now=clock.now()))
        clock.advance(100)
        changed(store, young.id, lambda run: run.cancel("no", now=clock.now()))

        before = clock.now() - timedelta(seconds=50)
        pruned = store.write_now(lambda uow: uow.runs.prune_ended(before, 10))

        assert pruned == 1
        assert [run.id for run in _page(store, RunFilter(tags=(("k", "v"),)), None, 9)] == [
            max(young.id, waiting.id),
            min(young.id, waiting.id),
        ]
        assert store.read_now(lambda uow: uow.runs.events(old.id)) == []


class TestCancelIntent:
    def test_it_is_kept_until_the_run_ends(self, store: Store) -> None:
        run = a_run()
        added(store, run)
        changed(store, run.id, lambda each: each.assign("wrk_1"))

        store.write_now(lambda uow: uow.runs.request_cancel(run.id, "CANCELLED", "by ada"))

        intent = store.read_now(lambda uow: uow.runs.cancel_intent(run.id))
        assert intent is not None
        assert (intent.reason, intent.message) == ("CANCELLED", "by ada")
        changed(store, run.id, lambda each: each.cancel("stopped"))
        assert store.read_now(lambda uow: uow.runs.cancel_intent(run.id)) is None

    def test_it_does_not_survive_into_another_attempt(self, store: Store) -> None:
        run = a_run()
        added(store, run)
        changed(store, run.id, lambda each: each.assign("wrk_1"))
        store.write_now(lambda uow: uow.runs.request_cancel(run.id, "CANCELLED", ""))

        changed(store, run.id, lambda each: each.retry(force=True))

        assert store.read_now(lambda uow: uow.runs.cancel_intent(run.id)) is None

    def test_asking_and_saving_in_one_unit_of_work_do_not_disturb_each_other(
        self, store: Store
    ) -> None:
        run = a_run()
        added(store, run)
        changed(store, run.id, lambda each: each.assign("wrk_1"))

        def ask_and_note(uow: UnitOfWork) -> None:
            mine = uow.runs.get(run.id)
            uow.runs.request_cancel(run.id, "CANCELLED", "")
            mine.add_event(EventType.INFO, "asked to stop")
            uow.runs.save(mine)

        store.write_now(ask_and_note)

        assert store.read_now(lambda uow: uow.runs.cancel_intent(run.id)) is not None

    def test_an_unknown_run_is_said_to_be_unknown(self, store: Store) -> None:
        with pytest.raises(RunNotFound):
            store.write_now(lambda uow: uow.runs.request_cancel("run_unknown", "CANCELLED", ""))


def _page(store: Store, wanted: RunFilter, after: str | None, limit: int) -> list[OpRun]:
    return store.read_now(lambda uow: uow.runs.page(wanted, after, limit))


def _somebody_else_writes(uow: UnitOfWork, run_id: str) -> None:
    connection = uow.runs._connection  # noqa: SLF001 - what another server would do
    connection.execute(
        update(op_runs).where(op_runs.c.id == run_id).values(version=op_runs.c.version + 1)
    )


def _saved(store: Store, run: OpRun) -> OpRun:
    """Store what became of a run outside, as if this unit of work had done it."""

    def do(uow: UnitOfWork) -> None:
        uow.runs.get(run.id)
        uow.runs.save(run)

    store.write_now(do)
    for attempt in run.attempts:
        attempt.events.clear()
    return run

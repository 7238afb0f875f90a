"""What every engine promises about held attempts, leases and reservations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gyoza.models import OpRun, OpRunState
from gyoza.server.clock import ManualClock
from gyoza.server.storage.records import HeldAttempt, Holder, Reservation
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork

LEASE_S = 60


def assigned(store: Store, worker_id: str = "wrk_1") -> OpRun:
    """A run in the hands of a worker that has not asked for it yet."""

    def do(uow: UnitOfWork) -> OpRun:
        run = OpRun.create("busybox", now=uow.now())
        uow.runs.add([run])
        stored = uow.runs.get(run.id)
        stored.assign(worker_id, now=uow.now())
        uow.runs.save(stored)
        uow.assignments.reserve(Reservation(run.id, stored.fence, worker_id, 1, 512, 100, "GPU-1"))
        expires = uow.now() + timedelta(seconds=LEASE_S)
        uow.assignments.open(run.id, 1, stored.fence, worker_id, expires)
        return stored

    return store.write_now(do)


def held(store: Store, worker_id: str = "wrk_1") -> list[HeldAttempt]:
    return store.read_now(lambda uow: uow.assignments.held_by(worker_id))


class TestHolding:
    def test_an_opened_attempt_is_held_unclaimed(self, store: Store, clock: ManualClock) -> None:
        run = assigned(store)

        assert held(store) == [
            HeldAttempt(
                run_id=run.id,
                attempt=1,
                fence=1,
                worker_id="wrk_1",
                state=OpRunState.ASSIGNED,
                phase=None,
                opened_at=clock.now(),
                claim_id=None,
                claimed_at=None,
                lease_expires_at=clock.now() + timedelta(seconds=LEASE_S),
                cancel=None,
                last_event_seq=0,
                last_log_seq=0,
            )
        ]

    @pytest.mark.anyio
    async def test_its_worker_is_woken(self, store: Store, clock: ManualClock) -> None:
        async with store.wakeups.subscribe("worker:wrk_1") as waiter:
            assigned(store)

            assert await waiter.wait(5)

    def test_it_is_known_which_claim_took_it_and_when(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = assigned(store)
        later = assigned(store)

        def claim(uow: UnitOfWork) -> None:
            waiting = uow.assignments.unclaimed_for("wrk_1")
            first = [each for each in waiting if each.run_id == run.id]
            uow.assignments.mark_claimed(first, "c", uow.now())

        store.write_now(claim)

        waiting = store.read_now(lambda uow: uow.assignments.unclaimed_for("wrk_1"))
        known = {each.run_id: (each.claim_id, each.claimed_at) for each in held(store)}
        assert known == {run.id: ("c", clock.now()), later.id: (None, None)}
        assert [each.run_id for each in waiting] == [later.id]

    def test_only_the_current_fence_finds_it(self, store: Store, clock: ManualClock) -> None:
        run = assigned(store)

        assert store.read_now(lambda uow: uow.assignments.find(run.id, 1)) == held(store)[0]
        assert store.read_now(lambda uow: uow.assignments.find(run.id, 0)) is None
        assert store.read_now(lambda uow: uow.assignments.find("run_unknown", 1)) is None

    def test_a_closed_attempt_is_held_no_more_and_its_result_is_known(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = assigned(store)

        first = store.write_now(lambda uow: uow.assignments.close(run.id, 1, "digest"))
        second = store.write_now(lambda uow: uow.assignments.close(run.id, 1, "other"))

        assert (first, second) == (True, False)
        assert held(store) == []
        assert store.read_now(lambda uow: uow.assignments.find(run.id, 1)) is None
        digest = store.read_now(lambda uow: uow.assignments.closed_result_digest(run.id, 1))
        assert digest == "digest"
        assert store.read_now(lambda uow: uow.assignments.closed_result_digest(run.id, 2)) is None

    def test_how_far_reports_came_belongs_to_one_fence(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = assigned(store)

        store.write_now(lambda uow: uow.assignments.set_sequences(run.id, 1, 7, 9))
        store.write_now(lambda uow: uow.assignments.set_sequences(run.id, 0, 99, 99))

        assert [(each.last_event_seq, each.last_log_seq) for each in held(store)] == [(7, 9)]
        expires = clock.now() + timedelta(seconds=1)
        store.write_now(lambda uow: uow.assignments.open(run.id, 1, 2, "wrk_1", expires))
        assert [(each.last_event_seq, each.last_log_seq) for each in held(store)] == [(0, 0)]

    def test_a_cancel_request_is_seen_by_who_holds_it(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = assigned(store)

        store.write_now(lambda uow: uow.runs.request_cancel(run.id, "CANCELLED", "by ada"))

        [attempt] = held(store)
        assert attempt.cancel is not None
        assert (attempt.cancel.reason, attempt.cancel.message) == ("CANCELLED", "by ada")


class TestLeases:
    def test_a_heartbeat_renews_what_its_worker_holds_and_nothing_else(
        self, store: Store, clock: ManualClock
    ) -> None:
        mine, gone, others = (assigned(store) for _ in range(3))
        foreign = assigned(store, "wrk_2")
        store.write_now(lambda uow: uow.assignments.close(gone.id, 1))
        clock.advance(30)
        named = [(mine.id, 1), (gone.id, 1), (others.id, 9), (foreign.id, 1)]

        renewed = store.write_now(lambda uow: uow.assignments.renew("wrk_1", named, LEASE_S))

        assert renewed == {(mine.id, 1)}
        leases = {each.run_id: each.lease_expires_at for each in held(store)}
        assert leases[mine.id] == clock.now() + timedelta(seconds=LEASE_S)
        assert leases[others.id] == clock.now() + timedelta(seconds=LEASE_S - 30)

    def test_a_lease_that_is_over_is_found(self, store: Store, clock: ManualClock) -> None:
        run = assigned(store)

        clock.advance(LEASE_S - 1)
        early = store.read_now(lambda uow: uow.assignments.expired(clock.now(), 10))
        clock.advance(1)
        late = store.read_now(lambda uow: uow.assignments.expired(clock.now(), 10))

        assert early == []
        assert [each.run_id for each in late] == [run.id]

    def test_an_assignment_that_nobody_claimed_is_found(
        self, store: Store, clock: ManualClock
    ) -> None:
        forgotten, claimed = assigned(store), assigned(store)
        store.write_now(lambda uow: uow.assignments.mark_claimed([(claimed.id, 1)], "c", uow.now()))

        clock.advance(30)
        before = clock.now() - timedelta(seconds=30)
        found = store.read_now(lambda uow: uow.assignments.unacknowledged(before, 10))

        assert [each.run_id for each in found] == [forgotten.id]


class TestReservations:
    def test_they_outlive_the_lease_until_they_are_freed(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = assigned(store)
        holder = Holder(
            None, 0, None, None, "busybox", False, False, True, clock.now(), run.created_at
        )
        taken = Reservation(run.id, 1, "wrk_1", 1, 512, 100, "GPU-1", holder=holder)
        store.write_now(lambda uow: uow.assignments.close(run.id, 1))

        before = store.read_now(lambda uow: uow.assignments.reserved_by_worker())
        store.write_now(lambda uow: uow.assignments.free(run.id, 1))

        assert before == {"wrk_1": [taken]}
        assert store.read_now(lambda uow: uow.assignments.reserved_by_worker()) == {}
        assert store.read_now(lambda uow: uow.assignments.reserved_on("wrk_1")) == []

    def test_they_are_counted_per_worker(self, store: Store, clock: ManualClock) -> None:
        first, _ = assigned(store), assigned(store, "wrk_2")

        found = store.read_now(lambda uow: uow.assignments.reserved_on("wrk_1"))

        assert [each.run_id for each in found] == [first.id]

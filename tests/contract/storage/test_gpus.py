"""What is known against GPUs, and the images of a machine, as every store keeps them."""

from __future__ import annotations

from gyoza.server.clock import ManualClock
from gyoza.server.storage.records import GpuRecord
from gyoza.server.storage.store import Store
from tests.contract.storage.test_other_things import a_worker


def test_nothing_is_known_against_a_gpu_at_first(store: Store) -> None:
    assert store.read_now(lambda uow: uow.gpus.find("wrk_1", "GPU-1")) is None


def test_a_record_comes_back_as_it_was_saved_last(store: Store, clock: ManualClock) -> None:
    store.write_now(lambda uow: uow.gpus.save(GpuRecord("wrk_1", "GPU-1", ("a",))))
    last = GpuRecord("wrk_1", "GPU-1", ("a", "b"), clock.now(), "it fails")

    store.write_now(lambda uow: uow.gpus.save(last))

    assert store.read_now(lambda uow: uow.gpus.find("wrk_1", "GPU-1")) == last
    assert store.read_now(lambda uow: uow.gpus.find("wrk_2", "GPU-1")) is None


def test_a_worker_comes_with_the_reasons_of_its_gpus_in_quarantine(
    store: Store, clock: ManualClock
) -> None:
    store.write_now(lambda uow: uow.workers.save(a_worker(clock)))
    store.write_now(lambda uow: uow.gpus.save(GpuRecord("wrk_1", "GPU-0", ("a",))))
    sick = GpuRecord("wrk_1", "GPU-1", ("a", "b"), clock.now(), "it fails")

    store.write_now(lambda uow: uow.gpus.save(sick))

    found = store.read_now(lambda uow: uow.workers.find("wrk_1"))
    assert found is not None
    assert found.quarantined == {"GPU-1": "it fails"}
    assert store.read_now(lambda uow: uow.workers.list()) == [found]


def test_records_are_forgotten_one_by_one_or_with_their_worker(store: Store) -> None:
    def known() -> list[bool]:
        keys = [("wrk_1", "a"), ("wrk_1", "b"), ("wrk_2", "a")]
        return store.read_now(lambda uow: [uow.gpus.find(*key) is not None for key in keys])

    for worker_id, uuid in [("wrk_1", "a"), ("wrk_1", "b"), ("wrk_2", "a")]:
        record = GpuRecord(worker_id, uuid, ("op",))
        store.write_now(lambda uow, record=record: uow.gpus.save(record))

    store.write_now(lambda uow: uow.gpus.forget("wrk_1", "a"))
    after_one = known()
    store.write_now(lambda uow: uow.gpus.forget_worker("wrk_1"))

    assert after_one == [False, True, True]
    assert known() == [False, False, True]


def test_a_sign_of_life_may_tell_other_images_and_else_keeps_them(
    store: Store, clock: ManualClock
) -> None:
    def images() -> frozenset[str]:
        found = store.read_now(lambda uow: uow.workers.find("wrk_1"))
        return frozenset() if found is None else found.images

    store.write_now(lambda uow: uow.workers.save(a_worker(clock)))

    store.write_now(lambda uow: uow.workers.touch("wrk_1", "s1", uow.now(), [], "", ["b:1", "a:1"]))
    told = images()
    store.write_now(lambda uow: uow.workers.touch("wrk_1", "s1", uow.now(), [], ""))

    assert told == images() == {"a:1", "b:1"}

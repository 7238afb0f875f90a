"""What every engine promises about definitions, workers, logs, artifacts and kept answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from gyoza.models import OpDefinition, OpRun
from gyoza.server.clock import ManualClock
from gyoza.server.storage.records import (
    ArtifactRecord,
    IdempotencyRecord,
    LogPiece,
    LogStream,
    Pulse,
    Reservation,
    StoredLog,
    WorkerRecord,
)
from gyoza.server.storage.repositories.logs import LogRepository
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.wire.messages import ArtifactRef, Capacity, Gpu
from tests.contract.storage.conftest import OpenStore


def a_version(clock: ManualClock, version: str, op_id: str = "count") -> OpDefinition:
    return OpDefinition.create(op_id, version, f"{op_id}:{version}", now=clock.now())


def put(store: Store, *definitions: OpDefinition) -> None:
    for definition in definitions:
        store.write_now(lambda uow, each=definition: uow.definitions.add(each))


def a_worker(clock: ManualClock, worker_id: str = "wrk_1") -> WorkerRecord:
    return WorkerRecord(
        id=worker_id,
        name="box",
        machine_id="m",
        session_id="s1",
        boot_id="b",
        version="0.1.0",
        runtime="docker",
        capacity=Capacity(cpu=4, ram_mb=8000, gpus=[Gpu(uuid="GPU-1", vram_mb=24000, name="A")]),
        registered_at=clock.now(),
        last_seen_at=clock.now(),
        tags={"zone": "a"},
    )


def a_stored_run(store: Store) -> OpRun:
    run = OpRun.create("busybox")
    store.write_now(lambda uow: uow.runs.add([run]))
    return run


class TestDefinitions:
    def test_the_version_added_last_is_current_and_listed_first(
        self, store: Store, clock: ManualClock
    ) -> None:
        first, second = a_version(clock, "2.0"), a_version(clock, "1.0")

        put(store, first, second)

        assert store.read_now(lambda uow: uow.definitions.find("count")) == second
        assert store.read_now(lambda uow: uow.definitions.find("count", "2.0")) == first
        assert store.read_now(lambda uow: uow.definitions.list_versions("count")) == [second, first]

    def test_an_old_version_can_be_made_current_again(
        self, store: Store, clock: ManualClock
    ) -> None:
        put(store, a_version(clock, "1.0"), a_version(clock, "2.0"))

        store.write_now(lambda uow: uow.definitions.make_current("count", "1.0"))

        found = store.read_now(lambda uow: uow.definitions.find("count"))
        assert found is not None
        assert found.version == "1.0"

    def test_a_registered_version_is_never_written_over(
        self, store: Store, clock: ManualClock
    ) -> None:
        put(store, a_version(clock, "1.0"))

        with pytest.raises(IntegrityError):
            put(store, a_version(clock, "1.0"))

    def test_an_archived_op_is_out_of_the_list_until_a_version_comes(
        self, store: Store, clock: ManualClock
    ) -> None:
        put(store, a_version(clock, "1.0"))
        store.write_now(lambda uow: uow.definitions.archive("count"))

        def look(uow: UnitOfWork) -> tuple[bool, int, int]:
            shown = uow.definitions.list_current()
            every = uow.definitions.list_current(include_archived=True)
            return uow.definitions.is_archived("count"), len(shown), len(every)

        assert store.read_now(look) == (True, 0, 1)
        put(store, a_version(clock, "2.0"))
        assert store.read_now(look) == (False, 1, 1)

    def test_the_list_goes_on_behind_an_id(self, store: Store, clock: ManualClock) -> None:
        put(store, *(a_version(clock, "1", op_id) for op_id in ("b", "a", "c")))

        page = store.read_now(lambda uow: uow.definitions.list_current(after_id="a", limit=1))

        assert [each.id for each in page] == ["b"]

    def test_an_unknown_op_has_nothing(self, store: Store) -> None:
        def look(uow: UnitOfWork) -> tuple[object, ...]:
            definitions = uow.definitions
            return (
                definitions.find("none"),
                definitions.exists("none"),
                definitions.is_archived("none"),
                definitions.list_versions("none"),
            )

        assert store.read_now(look) == (None, False, False, [])


class TestWorkers:
    def test_a_worker_comes_back_equal_and_can_change(
        self, store: Store, clock: ManualClock
    ) -> None:
        worker = a_worker(clock)
        store.write_now(lambda uow: uow.workers.save(worker))
        drained = replace(worker, draining=True, session_id="s2")

        store.write_now(lambda uow: uow.workers.save(drained))

        assert store.read_now(lambda uow: uow.workers.find("wrk_1")) == drained
        assert store.read_now(lambda uow: uow.workers.list()) == [drained]

    def test_only_the_current_session_is_a_sign_of_life(
        self, store: Store, clock: ManualClock
    ) -> None:
        store.write_now(lambda uow: uow.workers.save(a_worker(clock)))
        clock.advance(5)
        seen = [Gpu(uuid="GPU-1", vram_mb=24000, name="A", used_mb=700)]

        old = store.write_now(lambda uow: uow.workers.touch("wrk_1", "s0", uow.now(), [], "sick"))
        new = store.write_now(lambda uow: uow.workers.touch("wrk_1", "s1", uow.now(), seen, "sick"))

        assert (old, new) == (False, True)
        found = store.read_now(lambda uow: uow.workers.find("wrk_1"))
        assert found is not None
        assert (found.last_seen_at, found.problem) == (clock.now(), "sick")
        assert found.capacity.gpus == seen

    def test_a_heartbeat_without_gpus_keeps_what_is_known(
        self, store: Store, clock: ManualClock
    ) -> None:
        worker = a_worker(clock)
        store.write_now(lambda uow: uow.workers.save(worker))

        store.write_now(lambda uow: uow.workers.touch("wrk_1", "s1", uow.now(), [], ""))

        assert store.read_now(lambda uow: uow.workers.find("wrk_1")) == worker

    def test_a_removed_worker_is_not_listed_and_says_nothing(
        self, store: Store, clock: ManualClock
    ) -> None:
        store.write_now(lambda uow: uow.workers.save(a_worker(clock)))

        store.write_now(lambda uow: uow.workers.remove("wrk_1"))

        assert store.read_now(lambda uow: uow.workers.list()) == []
        alive = store.write_now(lambda uow: uow.workers.touch("wrk_1", "s1", uow.now(), [], ""))
        assert not alive

    def test_locking_a_worker_is_possible_whether_or_not_it_exists(self, store: Store) -> None:
        store.write_now(lambda uow: uow.workers.lock("wrk_none"))


class TestThePulse:
    def test_it_is_unknown_before_the_first_tick(self, store: Store) -> None:
        assert store.read_now(lambda uow: uow.pulse.find()) is None

    def test_it_comes_back_as_it_was_saved_last_after_a_restart(
        self, open_store: OpenStore, clock: ManualClock
    ) -> None:
        last = Pulse(clock.now(), amnesty_until=clock.now() + timedelta(seconds=90))
        with open_store() as store:
            store.write_now(lambda uow: uow.pulse.save(Pulse(uow.now(), brake_until=uow.now())))
            store.write_now(lambda uow: uow.pulse.save(last))

        with open_store() as again:
            assert again.read_now(lambda uow: uow.pulse.find()) == last


def strangers(*names: str) -> dict[str, Reservation]:
    return {name: Reservation(f"run_{name}", 3, "wrk_1", 2, 512, 800, "GPU-1") for name in names}


class TestLimbo:
    def test_what_it_takes_is_reserved_until_it_is_freed(self, store: Store) -> None:
        store.write_now(
            lambda uow: uow.workers.in_limbo("wrk_1", strangers("a"), forget_others=True)
        )

        (taken,) = store.read_now(lambda uow: uow.assignments.reserved_on("wrk_1"))
        everywhere = store.read_now(lambda uow: uow.assignments.reserved_by_worker())
        store.write_now(lambda uow: uow.assignments.free_unknown([("run_a", 3)]))
        left = store.read_now(lambda uow: uow.assignments.reserved_on("wrk_1"))

        assert (taken.run_id, taken.fence, taken.cpu, taken.ram_mb) == ("run_a", 3, 2, 512)
        assert (taken.vram_mb, taken.gpu_uuid) == (800, "GPU-1")
        assert taken.holder is not None
        assert taken.holder.current is False
        assert everywhere == {"wrk_1": [taken]}
        assert left == []

    def test_a_container_nobody_knows_is_remembered_since_it_was_first_named(
        self, store: Store, clock: ManualClock
    ) -> None:
        first = clock.now()
        store.write_now(
            lambda uow: uow.workers.in_limbo("wrk_1", strangers("a"), forget_others=True)
        )
        clock.advance(60)

        found = store.write_now(
            lambda uow: uow.workers.in_limbo("wrk_1", strangers("a", "b"), forget_others=True)
        )

        assert found == {"a": first, "b": clock.now()}

    def test_only_this_workers_others_are_forgotten_and_only_when_asked(
        self, store: Store, clock: ManualClock
    ) -> None:
        first = clock.now()
        for worker_id in ("wrk_1", "wrk_2"):
            store.write_now(
                lambda uow, each=worker_id: uow.workers.in_limbo(
                    each, strangers("a"), forget_others=True
                )
            )
        clock.advance(60)
        store.write_now(lambda uow: uow.workers.in_limbo("wrk_2", {}, forget_others=False))
        store.write_now(lambda uow: uow.workers.in_limbo("wrk_1", {}, forget_others=True))

        def since(worker_id: str) -> datetime:
            return store.write_now(
                lambda uow: uow.workers.in_limbo(worker_id, strangers("a"), forget_others=True)
            )["a"]

        assert (since("wrk_1"), since("wrk_2")) == (clock.now(), first)


class TestLogs:
    def piece(self, clock: ManualClock, text: str, stream: LogStream = "stdout") -> LogPiece:
        return LogPiece(clock.now(), stream, text)

    def test_pieces_are_numbered_per_attempt_and_come_back_in_order(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = a_stored_run(store)
        pieces = [self.piece(clock, "one\n"), self.piece(clock, "zwölf\n", "stderr")]
        store.write_now(lambda uow: uow.logs.append(run.id, 1, pieces[:1]))
        store.write_now(lambda uow: uow.logs.append(run.id, 1, pieces[1:]))

        everything = store.read_now(lambda uow: uow.logs.page(run.id, 1))

        assert everything == [
            StoredLog(1, 1, clock.now(), "stdout", "one\n"),
            StoredLog(2, 1, clock.now(), "stderr", "zwölf\n"),
        ]
        assert store.read_now(lambda uow: uow.logs.page(run.id, 1, after=1)) == everything[1:]
        assert store.read_now(lambda uow: uow.logs.tail(run.id, 1, 1)) == everything[1:]
        assert store.read_now(lambda uow: uow.logs.size(run.id, 1)) == len("one\nzwölf\n".encode())

    def test_an_attempt_that_is_not_stored_has_no_logs(
        self, store: Store, clock: ManualClock
    ) -> None:
        with pytest.raises(LookupError):
            store.write_now(lambda uow: uow.logs.append("run_none", 1, [self.piece(clock, "x")]))

    @pytest.mark.parametrize("per_append", [1, 3, 100])
    def test_the_middle_of_too_much_output_is_cut_and_said_to_be(
        self, store: Store, clock: ManualClock, per_append: int
    ) -> None:
        run = a_stored_run(store)
        pieces = [self.piece(clock, f"{number:09}\n") for number in range(1, 101)]

        for start in range(0, 100, per_append):
            some = pieces[start : start + per_append]
            store.write_now(lambda uow, some=some: _small_logs(uow).append(run.id, 1, some))

        kept = store.read_now(lambda uow: uow.logs.page(run.id, 1))
        texts = [each.text for each in kept]
        first, last = [each.text for each in pieces[:5]], [each.text for each in pieces[-5:]]
        assert texts == [*first, "[gyoza: 900 bytes of output are not kept here]\n", *last]
        assert [each.number for each in kept] == [1, 2, 3, 4, 5, 6, *range(96, 101)]
        assert kept[5].stream == "system"
        assert store.read_now(lambda uow: uow.logs.size(run.id, 1)) == 100


def _small_logs(uow: UnitOfWork) -> LogRepository:
    transaction = uow.logs._transaction  # noqa: SLF001 - the same repository with smaller limits
    return LogRepository(transaction, max_bytes=100, head_bytes=50)


class TestArtifacts:
    def test_an_artifact_is_noted_once(self, store: Store, clock: ManualClock) -> None:
        artifact = ArtifactRecord("0" * 64, 3, "text/plain", clock.now(), clock.now())

        first = store.write_now(lambda uow: uow.artifacts.add(artifact))
        again = store.write_now(lambda uow: uow.artifacts.add(replace(artifact, media_type="x/y")))

        assert (first, again) == (True, False)
        assert store.read_now(lambda uow: uow.artifacts.find("0" * 64)) == artifact
        assert store.read_now(lambda uow: uow.artifacts.find("1" * 64)) is None

    def test_a_run_shows_the_files_of_its_attempts_however_often_they_are_reported(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = a_stored_run(store)
        ref = ArtifactRef(sha256="0" * 64, size_bytes=3, media_type="text/plain", name="a.txt")
        artifact = ArtifactRecord("0" * 64, 3, "text/plain", clock.now())
        store.write_now(lambda uow: uow.artifacts.add(artifact))

        for _ in range(2):
            store.write_now(lambda uow: uow.artifacts.link(run.id, 1, [ref]))

        found = store.read_now(lambda uow: uow.artifacts.of_run(run.id))
        assert [(each.attempt, each.ref) for each in found] == [(1, ref)]

    def test_a_file_that_is_not_known_cannot_be_linked(self, store: Store) -> None:
        run = a_stored_run(store)
        ref = ArtifactRef(sha256="f" * 64, size_bytes=3, media_type="text/plain", name="a.txt")

        with pytest.raises(IntegrityError):
            store.write_now(lambda uow: uow.artifacts.link(run.id, 1, [ref]))

    def test_sending_or_asking_spares_a_file_for_another_while(
        self, store: Store, clock: ManualClock
    ) -> None:
        artifact = ArtifactRecord("0" * 64, 3, "text/plain", clock.now())
        store.write_now(lambda uow: uow.artifacts.add(artifact))
        began = clock.now()

        clock.advance(10)
        known = store.write_now(lambda uow: uow.artifacts.touch("0" * 64))
        unknown = store.write_now(lambda uow: uow.artifacts.touch("1" * 64))
        clock.advance(10)
        store.write_now(lambda uow: uow.artifacts.add(artifact))

        assert (known, unknown) == (True, False)
        found = store.read_now(lambda uow: uow.artifacts.find("0" * 64))
        assert found is not None
        assert found.used_at == began + timedelta(seconds=20)

    def test_only_what_no_run_names_and_nobody_used_is_forgotten(
        self, store: Store, clock: ManualClock
    ) -> None:
        run = a_stored_run(store)
        left, named, used, unused = (digit * 64 for digit in "0123")
        for sha256 in (left, named, used, unused):
            artifact = ArtifactRecord(sha256, 3, "text/plain", clock.now())
            store.write_now(lambda uow, artifact=artifact: uow.artifacts.add(artifact))
        ref = ArtifactRef(sha256=left, size_bytes=3, media_type="text/plain", name="a.txt")
        store.write_now(lambda uow: uow.artifacts.link(run.id, 1, [ref]))
        store.write_now(lambda uow: uow.artifacts.refer([(run.id, named), (run.id, named)]))
        clock.advance(100)
        before = clock.now()
        store.write_now(lambda uow: uow.artifacts.touch(used))

        listed = store.read_now(lambda uow: uow.artifacts.unnamed(before, 10))
        forgotten = {
            sha256: store.write_now(lambda uow, s=sha256: uow.artifacts.forget(s, before))
            for sha256 in (left, named, used, unused)
        }

        assert listed == [unused]
        assert forgotten == {left: False, named: False, used: False, unused: True}
        sizes = store.read_now(lambda uow: uow.artifacts.sizes([left, named, used, unused]))
        assert sizes == {left: 3, named: 3, used: 3}


class TestKeptAnswers:
    def test_a_kept_answer_is_found_under_its_scope_and_key(self, store: Store) -> None:
        store.write_now(lambda uow: uow.idempotency.put("runs", "k", "hash", 201, '{"id": 1}'))

        found = store.read_now(lambda uow: uow.idempotency.find("runs", "k"))

        assert found == IdempotencyRecord("hash", 201, '{"id": 1}')
        assert store.read_now(lambda uow: uow.idempotency.find("batches", "k")) is None

    def test_the_same_key_cannot_be_kept_twice(self, store: Store) -> None:
        store.write_now(lambda uow: uow.idempotency.put("runs", "k", "hash", 201, "{}"))

        with pytest.raises(IntegrityError):
            store.write_now(lambda uow: uow.idempotency.put("runs", "k", "other", 201, "{}"))

    def test_an_answer_goes_when_the_request_fails(self, store: Store) -> None:
        def keep_and_fail(uow: UnitOfWork) -> None:
            uow.idempotency.put("runs", "k", "hash", 201, "{}")
            raise KeyError("no")

        with pytest.raises(KeyError):
            store.write_now(keep_and_fail)

        assert store.read_now(lambda uow: uow.idempotency.find("runs", "k")) is None

    def test_old_answers_are_pruned_oldest_first(self, store: Store, clock: ManualClock) -> None:
        for key in ("a", "b", "c"):
            store.write_now(lambda uow, key=key: uow.idempotency.put("runs", key, "h", 201, "{}"))
            clock.advance(10)

        before = clock.now() - timedelta(seconds=10)
        pruned = store.write_now(lambda uow: uow.idempotency.prune(before, 1))

        assert pruned == 1
        left = [store.read_now(lambda uow, k=k: uow.idempotency.find("runs", k)) for k in "abc"]
        assert [each is not None for each in left] == [False, True, True]

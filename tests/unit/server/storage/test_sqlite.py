"""How the SQLite engine meets a second server, a kill, a full disk, a foreign lock, a bad file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from gyoza.models import OpRun
from gyoza.server.clock import ManualClock
from gyoza.server.errors import RunNotFound, StoreInUse, StoreUnavailable
from gyoza.server.storage.file_lock import refuse_network_filesystem
from gyoza.server.storage.records import RunFilter
from gyoza.server.storage.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gyoza.db"


def opened(path: Path | str) -> Store:
    return Store.open(path, clock=ManualClock())


def add_one(store: Store, **fields: object) -> OpRun:
    run = OpRun.create("busybox", inputs={**fields})
    store.write_now(lambda uow: uow.runs.add([run]))
    return run


class TestOneOwner:
    def test_a_second_store_on_the_same_file_is_refused_with_the_pid_that_holds_it(
        self, path: Path
    ) -> None:
        store = opened(path)

        with pytest.raises(StoreInUse, match=f"in use by process {os.getpid()}"):
            opened(path)

        store.close()
        opened(path).close()

    def test_a_path_and_a_url_are_the_same_file(self, path: Path) -> None:
        store = opened(f"sqlite:///{path}")

        with pytest.raises(StoreInUse):
            opened(path)

        store.close()

    def test_a_url_of_another_engine_is_refused_without_showing_its_password(self) -> None:
        url = make_url("postgresql://ada:secret@db/gyoza").render_as_string(hide_password=False)

        with pytest.raises(ValueError, match="expected sqlite:///path") as refused:
            opened(url)

        assert "secret" not in str(refused.value)

    def test_a_closed_store_writes_no_more(self, path: Path) -> None:
        store = opened(path)
        store.close()
        store.close()

        with pytest.raises(StoreUnavailable, match="closed"):
            store.write_now(lambda _: None)

    def test_writing_inside_a_write_is_refused_and_does_not_hang(self, path: Path) -> None:
        store = opened(path)

        with pytest.raises(RuntimeError, match="inside a write"):
            store.write_now(lambda _: store.write_now(lambda _: None))

        store.close()

    def test_a_read_cannot_write(self, path: Path) -> None:
        store = opened(path)

        with pytest.raises(StoreUnavailable, match="readonly"):
            store.read_now(lambda uow: uow.runs.add([OpRun.create("busybox")]))

        store.close()

    def test_an_error_of_the_functions_own_comes_out_as_it_is(self, path: Path) -> None:
        store = opened(path)

        def fail(_: object) -> None:
            raise FileNotFoundError("not the database")

        for run in (store.write_now, store.read_now):
            with pytest.raises(FileNotFoundError, match="not the database"):
                run(fail)

        store.close()

    @pytest.mark.anyio
    async def test_an_open_store_is_ready_and_durable(self, path: Path) -> None:
        store = opened(path)

        await store.check()

        def settings(pragma: str) -> object:
            return store._writer.submit(  # noqa: SLF001 - what the writer's connection is set to
                lambda tx: tx.connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            ).result()

        found = [settings(name) for name in ("journal_mode", "synchronous", "foreign_keys")]
        store.close()
        assert found == ["wal", 2, 1]


_KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from gyoza.models import OpRun
from gyoza.server.clock import ManualClock
from gyoza.server.storage.store import Store

def half(uow):
    run = OpRun.create("busybox", id="run_half")
    uow.runs.add([run])
    stored = uow.runs.get(run.id)
    stored.assign("wrk_1")
    uow.runs.save(stored)
    print("half way", flush=True)
    sys.stdin.read()

store = Store.open(Path(sys.argv[1]), clock=ManualClock())
store.write_now(lambda uow: uow.runs.add([OpRun.create("busybox", id="run_whole")]))
store.write_now(half)
"""


def test_a_server_killed_in_a_transaction_leaves_nothing_half_written(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED_WHILE_WRITING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half way\n"
        process.send_signal(signal.SIGKILL)

    store = opened(path)
    runs = store.read_now(lambda uow: uow.runs.page(RunFilter(), None, 10))
    events = store.read_now(lambda uow: uow.runs.events("run_half"))
    add_one(store)
    store.close()
    assert [run.id for run in runs] == ["run_whole"]
    assert events == []


def test_a_foreign_lock_of_three_seconds_is_waited_for(path: Path) -> None:
    store = opened(path)
    foreign = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    foreign.execute("BEGIN IMMEDIATE")
    unlock = threading.Timer(3, lambda: foreign.execute("ROLLBACK"))
    unlock.start()

    run = add_one(store)

    unlock.join()
    foreign.close()
    assert store.read_now(lambda uow: uow.runs.get(run.id)) == run
    store.close()


class TestBadPlaces:
    def test_a_file_that_is_no_database_is_refused_and_left_alone(self, path: Path) -> None:
        path.write_text("my shopping list, which is long enough to be no header" * 20)
        before = path.read_bytes()

        with pytest.raises(StoreUnavailable, match="GYOZA_DATA_DIR"):
            opened(path)

        assert path.read_bytes() == before

    def test_a_damaged_database_is_refused(self, path: Path) -> None:
        store = opened(path)
        for index in range(200):
            add_one(store, text=str(index) * 50)
        store.close()
        damaged = bytearray(path.read_bytes())
        for page in range(2, len(damaged) // 4096, 2):
            damaged[page * 4096 : page * 4096 + 2000] = b"\xff" * 2000
        path.write_bytes(damaged)

        with pytest.raises(StoreUnavailable, match=r"damaged|malformed"):
            opened(path)

    def test_a_refused_store_gives_its_lock_back(self, path: Path) -> None:
        path.write_text("no database" * 100)
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as refused:
                opened(path)

            assert not isinstance(refused.value, StoreInUse)

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")

        with pytest.raises(StoreUnavailable, match="file/sub"):
            opened(tmp_path / "file" / "sub" / "gyoza.db")

    def test_a_network_file_system_is_refused_by_its_kind(self, path: Path) -> None:
        mounts = (
            "21 1 0:1 / / rw - ext4 /dev/sda rw\n"
            f"22 21 0:2 / {path.parent} rw shared:3 - nfs4 server:/export rw\n"
        )

        with pytest.raises(StoreUnavailable, match="nfs4"):
            refuse_network_filesystem(path, mounts)
        refuse_network_filesystem(path, mounts.replace("nfs4", "xfs"))

    def test_what_is_mounted_last_over_a_folder_counts(self, path: Path) -> None:
        over = f"22 21 0:2 / {path.parent} rw - %s x rw\n"
        mounts = "21 1 0:1 / / rw - nfs server rw\n" + over % "nfs" + over % "tmpfs"

        refuse_network_filesystem(path, mounts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, check=False).returncode != 0:
        message = "mounting a small disk needs root and CAP_SYS_ADMIN"
        if os.environ.get("CI"):  # noqa: TID251 - a missing right fails there
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


class TestSmallDisk:
    def test_a_full_disk_refuses_writes_whole_reads_go_on_and_room_heals_it(
        self, small_disk: Path
    ) -> None:
        store = opened(small_disk / "gyoza.db")
        stored = [add_one(store, text="first")]
        ballast = small_disk / "ballast"
        with ballast.open("wb") as file:
            _fill(file.fileno())

        with pytest.raises(StoreUnavailable, match="full") as refused:
            _add_until_refused(store, stored)

        assert "free some space" in str(refused.value)
        found = store.read_now(lambda uow: uow.runs.page(RunFilter(), None, 1000))
        assert {run.id for run in found} == {run.id for run in stored}
        ballast.unlink()
        healed = add_one(store, text="x" * 10_000)
        assert store.read_now(lambda uow: uow.runs.get(healed.id)) == healed
        store.close()
        opened(small_disk / "gyoza.db").close()

    def test_a_disk_that_became_read_only_is_named_as_the_cause(self, small_disk: Path) -> None:
        store = opened(small_disk / "gyoza.db")
        run = add_one(store)
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

        with pytest.raises(StoreUnavailable, match=r"[Rr]ead-only|readonly|unable to open"):
            opened(small_disk / "gyoza.db")

        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        store = opened(small_disk / "gyoza.db")
        assert store.read_now(lambda uow: uow.runs.get(run.id)) == run
        with pytest.raises(RunNotFound):
            store.read_now(lambda uow: uow.runs.get("run_none"))
        store.close()


def _add_until_refused(store: Store, stored: list[OpRun]) -> None:
    for _ in range(1000):
        stored.append(add_one(store, text="x" * 10_000))  # noqa: PERF401 - it is needed when it ends


def _fill(descriptor: int) -> None:
    try:
        while True:
            os.write(descriptor, b"\0" * 4096)
    except OSError:
        return

"""The cache of input files against a server in memory, on a real disk."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gyoza.wire.messages import ArtifactRef
from gyoza.worker.clock import SystemClock
from gyoza.worker.file_cache import DiskFull, FileCache, WrongContent
from gyoza.worker.file_cache.shelf import FileShelf
from gyoza.worker.server_fake import FakeServer
from gyoza.worker.server_port import ArtifactMissing, ServerAway

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024
CONTENT = bytes(range(256)) * 1024  # 256 KiB


class QuickClock:
    """The machine's clock, on which nobody waits long."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.now = self._real.now
        self.monotonic = self._real.monotonic

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.001))


class Bench:
    """A worker's folder, its server, and places where attempts want files."""

    def __init__(self, folder: Path, *, lends_links: bool) -> None:
        self.state = folder / "state"
        self.server = FakeServer(SystemClock())
        self._lends_links = lends_links
        self._attempts = folder / "attempts"
        self._attempts.mkdir(exist_ok=True)

    @property
    def files(self) -> Path:
        return self.state / "files"

    def cache(self, limit_mb: int = 100) -> FileCache:
        """As a worker that has just started makes it."""
        return FileCache(
            self.state,
            self.server,
            QuickClock(),
            random.Random(7),
            limit_mb=limit_mb,
            lends_links=self._lends_links,
        )

    def reference(self, content: bytes = CONTENT, name: str = "a") -> ArtifactRef:
        return ArtifactRef(self.server.put(content), len(content), "", name)

    def target(self, name: str = "a") -> Path:
        return self._attempts / name

    def kept(self) -> set[str]:
        return {path.name for path in self.files.iterdir()}


@pytest.fixture(params=[True, False], ids=["links", "copies"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, lends_links=request.param)


async def test_a_file_is_fetched_once_for_all_attempts(bench: Bench) -> None:
    cache, wanted = bench.cache(), bench.reference()

    await cache.lend(wanted, bench.target("first"))
    await cache.lend(wanted, bench.target("second"))

    assert bench.target("first").read_bytes() == bench.target("second").read_bytes() == CONTENT
    assert bench.server.downloads == [(wanted.sha256, 0)]


async def test_attempts_that_want_a_file_at_one_time_wait_for_one_download(bench: Bench) -> None:
    cache, wanted = bench.cache(), bench.reference()
    targets = [bench.target(str(number)) for number in range(20)]

    await asyncio.gather(*(cache.lend(wanted, each) for each in targets))

    assert {each.read_bytes() for each in targets} == {CONTENT}
    assert len(bench.server.downloads) == 1


async def test_what_attempts_get_is_read_only_to_the_op_and_readable(bench: Bench) -> None:
    await bench.cache().lend(bench.reference(), bench.target())

    status = bench.target().stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o644, os.geteuid())


async def test_an_attempts_file_is_the_caches_own_only_where_links_are_lent(bench: Bench) -> None:
    wanted = bench.reference()

    await bench.cache().lend(wanted, bench.target())

    is_same = bench.target().samefile(bench.files / wanted.sha256)
    assert is_same == bench._lends_links  # noqa: SLF001


async def test_a_broken_download_goes_on_where_it_broke(bench: Bench) -> None:
    wanted = bench.reference()
    bench.server.cut_next(100_000, 50_000)

    await bench.cache().lend(wanted, bench.target())

    assert bench.target().read_bytes() == CONTENT
    assert [start for _, start in bench.server.downloads] == [0, 100_000, 150_000]


async def test_a_worker_killed_during_a_download_goes_on_with_it(bench: Bench) -> None:
    wanted = bench.reference()
    bench.files.mkdir(parents=True)
    (bench.files / f"{wanted.sha256}.part").write_bytes(CONTENT[:70_000])

    await bench.cache().lend(wanted, bench.target())

    assert bench.target().read_bytes() == CONTENT
    assert bench.server.downloads == [(wanted.sha256, 70_000)]


async def test_a_worker_killed_between_the_last_byte_and_the_renaming_asks_for_nothing(
    bench: Bench,
) -> None:
    wanted = bench.reference()
    bench.files.mkdir(parents=True)
    (bench.files / f"{wanted.sha256}.part").write_bytes(CONTENT)

    await bench.cache().lend(wanted, bench.target())

    assert bench.target().read_bytes() == CONTENT
    assert bench.server.downloads == []


@pytest.mark.parametrize("torn", [b"\0" * 70_000, CONTENT[:-1] + b"?", CONTENT + b"more"])
async def test_a_part_that_the_disk_has_torn_is_fetched_anew(bench: Bench, torn: bytes) -> None:
    wanted = bench.reference()
    bench.files.mkdir(parents=True)
    (bench.files / f"{wanted.sha256}.part").write_bytes(torn)

    await bench.cache().lend(wanted, bench.target())

    assert bench.target().read_bytes() == CONTENT
    assert bench.server.downloads[-1] == (wanted.sha256, 0)


async def test_whoever_waits_goes_on_when_the_one_in_front_is_stopped(bench: Bench) -> None:
    cache, wanted = bench.cache(), bench.reference()
    bench.server.fail_next("get_artifact", *(ServerAway("away") for _ in range(50)))
    first = asyncio.create_task(cache.lend(wanted, bench.target("first")))
    second = asyncio.create_task(cache.lend(wanted, bench.target("second")))
    await asyncio.sleep(0.01)

    first.cancel()
    await second

    assert bench.target("second").read_bytes() == CONTENT
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize("wrong", [b"x" * len(CONTENT), CONTENT[:-1], CONTENT + b"x", b""])
async def test_other_bytes_than_promised_are_refused_and_not_kept(
    bench: Bench, wrong: bytes
) -> None:
    wanted = bench.reference()
    bench.server.artifacts[wanted.sha256] = wrong

    with pytest.raises(WrongContent, match=f"expected {len(CONTENT)} bytes"):
        await bench.cache().lend(wanted, bench.target())

    assert bench.kept() == set()
    assert not bench.target().exists()


async def test_a_file_that_the_server_lacks_is_the_callers_to_judge(bench: Bench) -> None:
    with pytest.raises(ArtifactMissing):
        await bench.cache().lend(ArtifactRef("0" * 64, 1, "", "a"), bench.target())


@pytest.mark.parametrize("worker", ["the same", "a new"])
async def test_a_kept_file_that_was_changed_is_fetched_anew(bench: Bench, worker: str) -> None:
    cache, wanted = bench.cache(), bench.reference()
    await cache.lend(wanted, bench.target())
    bench.target().unlink()
    with (bench.files / wanted.sha256).open("r+b") as file:
        file.write(b"changed")

    await (cache if worker == "the same" else bench.cache()).lend(wanted, bench.target())

    assert bench.target().read_bytes() == CONTENT
    assert len(bench.server.downloads) == 2


async def test_a_kept_file_that_rots_on_the_disk_is_noticed_after_a_restart(bench: Bench) -> None:
    wanted = bench.reference()
    await bench.cache().lend(wanted, bench.target())
    bench.target().unlink()
    kept = bench.files / wanted.sha256
    before = kept.stat()
    kept.write_bytes(b"x" * len(CONTENT))
    os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))

    await bench.cache().lend(wanted, bench.target())

    assert bench.target().read_bytes() == CONTENT


async def test_a_kept_file_whose_time_alone_was_touched_is_not_fetched_again(bench: Bench) -> None:
    cache, wanted = bench.cache(), bench.reference()
    await cache.lend(wanted, bench.target())
    (bench.files / wanted.sha256).touch()

    await cache.lend(wanted, bench.target())

    assert len(bench.server.downloads) == 1


async def test_the_file_used_longest_ago_goes_first(bench: Bench) -> None:
    cache = bench.cache(limit_mb=2)
    old, used, new = (bench.reference(bytes([n]) * (MIB * 9 // 10)) for n in (1, 2, 3))
    for each in (used, old, used, new):
        await cache.lend(each, bench.target())
        bench.target().unlink()

    assert bench.kept() == {used.sha256, new.sha256}


async def test_files_in_use_are_never_evicted_also_not_those_of_before_a_restart(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, lends_links=True)
    held, other = bench.reference(b"1" * MIB), bench.reference(b"2" * MIB)
    await bench.cache(limit_mb=1).lend(held, bench.target("held"))

    cache = bench.cache(limit_mb=1)
    await cache.lend(other, bench.target("other"))
    await cache.tidy()

    assert bench.kept() == {held.sha256, other.sha256}


async def test_files_over_the_limit_go_once_nobody_uses_them(bench: Bench) -> None:
    cache = bench.cache(limit_mb=0)
    await cache.lend(bench.reference(), bench.target())
    bench.target().unlink()

    await cache.tidy()

    assert bench.kept() == set()


async def test_what_a_download_left_behind_counts_and_goes_too(bench: Bench) -> None:
    bench.files.mkdir(parents=True)
    (bench.files / f"{'0' * 64}.part").write_bytes(b"x" * MIB)

    await bench.cache(limit_mb=1).lend(bench.reference(), bench.target())

    assert len(bench.kept()) == 1


async def test_a_file_beyond_the_disk_is_refused_before_a_byte_is_asked_for(bench: Bench) -> None:
    wanted = ArtifactRef(bench.server.put(b"x"), 1 << 60, "", "huge")

    with pytest.raises(DiskFull, match=r"the disk mounted at / .*GYOZA_WORKER_STATE_DIR"):
        await bench.cache(limit_mb=1 << 50).lend(wanted, bench.target())

    assert bench.server.downloads == []
    assert bench.kept() == set()


async def test_nothing_is_left_of_a_file_that_the_disk_stops_taking(bench: Bench) -> None:
    with no_file_larger_than(100_000), pytest.raises(OSError, match="large") as raised:
        await bench.cache().lend(bench.reference(), bench.target())

    assert raised.value.errno == errno.EFBIG
    part = next(bench.files.iterdir())
    assert part.read_bytes() == CONTENT[: part.stat().st_size]


async def test_a_copy_broken_off_by_a_crash_is_replaced(bench: Bench) -> None:
    bench.target().write_bytes(b"half")

    await bench.cache().lend(bench.reference(), bench.target())

    assert bench.target().read_bytes() == CONTENT


def test_a_shelf_that_cannot_link_copies(tmp_path: Path) -> None:
    other_disk = Path("/dev/shm")
    if other_disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    shelf = FileShelf(tmp_path / "files", lends_links=True)
    shelf.make()
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    shelf.part(sha256).write_bytes(CONTENT)
    shelf.keep(sha256)
    target = other_disk / f"gyoza-test-{os.getpid()}"

    try:
        assert shelf.lend(sha256, len(CONTENT), target, 0)
        assert target.read_bytes() == CONTENT
    finally:
        target.unlink()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

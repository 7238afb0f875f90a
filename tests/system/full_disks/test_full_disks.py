"""Disks that are really full, under the server's database and under a worker's state folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from gyoza.models import OpDefinition, OpRunState
from tests.support.engine import busybox_image, require_engine
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gyoza.client import GyozaClient, RunHandle

pytestmark = [pytest.mark.system, pytest.mark.docker, pytest.mark.timeout(240)]
_PIECE = bytes(64 * 1024)


class SmallDisk:
    """A file system of its own, which can be filled to the last byte and emptied again."""

    def __init__(self, place: Path, size_mb: int) -> None:
        self.place = place
        self._ballast = place / "ballast"
        place.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0755", "none", str(place)],
            check=True,
        )

    def fill(self) -> None:
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for piece in (_PIECE, b"x"):
                while self._takes(descriptor, piece):
                    pass
        finally:
            os.close(descriptor)

    def free(self) -> None:
        self._ballast.unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)

    def _takes(self, descriptor: int, piece: bytes) -> bool:
        try:
            return os.write(descriptor, piece) > 0
        except OSError:
            return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str, int], SmallDisk]]:
    """Makes file systems that go with the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    made: list[SmallDisk] = []

    def make(name: str, size_mb: int) -> SmallDisk:
        made.append(SmallDisk(tmp_path / name, size_mb))
        return made[-1]

    yield make
    for each in made:
        each.close()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


# --- the server ----------------------------------------------------------------------------------


def submit(url: str, number: int) -> httpx2.Response:
    body = {"image": "busybox", "inputs": {"number": number, "text": "x" * 20_000}}
    headers = {"Idempotency-Key": f"key-{number}"}
    return httpx2.post(f"{url}/api/v1/runs", json=body, headers=headers, timeout=30)


def submit_until_refused(url: str) -> tuple[set[str], list[httpx2.Response]]:
    """Five refusals, and what was taken before: the log of the database had room left."""
    accepted: set[str] = set()
    refusals: list[httpx2.Response] = []
    for number in range(1, 400):
        answer = submit(url, number)
        if answer.status_code == 201:
            accepted.add(answer.json()["id"])
        else:
            refusals.append(answer)
        if len(refusals) == 5:
            break
    return accepted, refusals


def test_a_full_disk_under_the_database_refuses_writes_and_loses_nothing(
    tmp_path: Path, small_disk: Callable[[str, int], SmallDisk]
) -> None:
    disk = small_disk("data", 16)
    stack = Stack(tmp_path)
    stack.start_server()
    first_pid = stack.pid("server")
    taken = {submit(stack.url, 0).json()["id"]}

    disk.fill()
    accepted, refusals = submit_until_refused(stack.url)
    taken |= accepted
    listed = httpx2.get(f"{stack.url}/api/v1/runs")
    disk.free()
    again = submit(stack.url, 1000)
    taken.add(again.json()["id"])
    with stack.client() as client:
        known = {each.id for each in client.list_runs()}
    is_same_process = stack.pid("server") == first_pid
    stack.stop("server")

    assert [each.status_code for each in refusals] == [503] * 5
    assert {each.json()["code"] for each in refusals} == {"STORE_UNAVAILABLE"}
    assert all(each.headers["retry-after"] for each in refusals)
    assert listed.status_code == 200
    assert again.status_code == 201
    assert known == taken
    assert is_same_process
    with closing(sqlite3.connect(disk.place / "gyoza.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- the worker ----------------------------------------------------------------------------------


def run_of(client: GyozaClient, script: str, name: str = "op") -> RunHandle:
    definition = OpDefinition.from_dict(
        {
            "id": name,
            "version": "1",
            "image": _image(),
            "constraints": {"cpu": 1, "ram_mb": 64},
            "execution": {"command": ["/bin/sh", "-c", script], "disk_mb": 500},
        }
    )
    client.upsert_definition(definition)
    return client.run(name, {})


def _image() -> str:
    engine = require_engine()
    try:
        return busybox_image(engine)
    finally:
        engine.close()


FAST = {"GYOZA_MACHINERY_BACKOFF_S": "2"}


def test_a_run_outlives_a_full_state_folder_and_its_result_arrives(
    tmp_path: Path, small_disk: Callable[[str, int], SmallDisk]
) -> None:
    disk = small_disk("worker", 12)
    with Stack(tmp_path, environment=FAST) as stack, stack.client() as client:
        going = run_of(
            client, "n=0; while [ $n -lt 80 ]; do echo line $n; n=$((n+1)); sleep 0.1; done"
        )
        until(lambda: going.refresh().state is OpRunState.RUNNING, 30, "it does not run")

        disk.fill()
        done = going.wait(timeout=60)
        lines = [
            each
            for each in "".join(each.text for each in going.logs()).splitlines()
            if each.startswith("line")
        ]

        assert done.state is OpRunState.COMPLETED
        assert len(done.attempts) == 1
        assert len(lines) == 80


def test_what_cannot_be_noted_is_not_begun_nor_charged_and_goes_on_once_there_is_room(
    tmp_path: Path, small_disk: Callable[[str, int], SmallDisk]
) -> None:
    disk = small_disk("worker", 12)
    with Stack(tmp_path, environment=FAST) as stack, stack.client() as client:
        disk.fill()
        run = run_of(client, "true")
        until(lambda: len(run.refresh().attempts) > 1, 30, "it does not fail")
        disk.free()
        done = run.wait(timeout=90)

        assert done.state is OpRunState.COMPLETED
        assert [each.charged for each in done.attempts[:-1]] == [False] * (len(done.attempts) - 1)
        assert {each.reason for each in done.attempts[:-1]} == {"WORKER_ERROR"}


def test_an_op_that_fills_the_workers_disk_fails_alone_and_leaves_room_for_the_next(
    tmp_path: Path, small_disk: Callable[[str, int], SmallDisk]
) -> None:
    disk = small_disk("worker", 12)
    with Stack(tmp_path, environment=FAST) as stack, stack.client() as client:
        fills = "dd if=/dev/zero of=$GYOZA_DIR/out/files/large bs=65536 count=1000 || exit 3"
        full = run_of(client, f"mkdir -p $GYOZA_DIR/out/files; {fills}", "greedy").wait(timeout=60)
        after = run_of(client, "true", "modest").wait(timeout=60)
        free_mb = shutil.disk_usage(disk.place).free // 2**20

        assert (full.state, full.attempts[-1].exit_code) == (OpRunState.FAILED, 3)
        assert after.state is OpRunState.COMPLETED
        assert free_mb >= 10

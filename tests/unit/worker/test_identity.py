from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyoza.worker.identity import (
    IdentityDamaged,
    StateFolderTaken,
    load_identity,
    owned_state_folder,
)

NOW = datetime(2031, 5, 4, tzinfo=UTC)


def test_a_worker_is_the_same_after_a_restart_and_its_session_is_not(tmp_path: Path) -> None:
    first = load_identity(tmp_path, now=NOW)
    second = load_identity(tmp_path, now=NOW)

    assert first.worker_id == second.worker_id
    assert first.worker_id.startswith("wrk_")
    assert first.machine_id == second.machine_id
    assert first.session_id != second.session_id


def test_two_workers_cannot_own_one_state_folder(tmp_path: Path) -> None:
    folder = tmp_path / "worker"

    with (
        owned_state_folder(folder),
        pytest.raises(StateFolderTaken, match="GYOZA_WORKER_STATE_DIR"),
        owned_state_folder(folder),
    ):
        pass


def test_a_state_folder_is_free_again_after_its_owner_and_closed_to_others(
    tmp_path: Path,
) -> None:
    with owned_state_folder(tmp_path / "worker"):
        pass

    with owned_state_folder(tmp_path / "worker") as folder:
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"worker_id": 7, "machine_id": "m"}', b"\xff"]
)
def test_a_damaged_identity_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "worker.json").write_bytes(content)

    with pytest.raises(IdentityDamaged, match=r"worker\.json .* put back a copy"):
        load_identity(tmp_path, now=NOW)


def test_a_replaced_worker_is_told_to_hand_over_and_waited_for(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    never = threading.Event()

    def pause(seconds: float) -> None:
        never.wait(seconds)

    assert holder.stdout
    assert holder.stdout.readline() == b"holding\n"

    with owned_state_folder(tmp_path, replaces=True, sleep=pause) as folder:
        pid = (folder / "lock").read_text()

    assert pid == str(os.getpid())
    assert holder.wait(10) == 7
    holder.stdout.close()


HOLDER = """
import pathlib, signal, sys
from gyoza.worker.identity import owned_state_folder
with owned_state_folder(pathlib.Path(sys.argv[1])):
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
    print("holding", flush=True)
    signal.pause()
"""

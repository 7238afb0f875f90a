from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyoza.worker.identity import StateFolderTaken, load_identity, owned_state_folder

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

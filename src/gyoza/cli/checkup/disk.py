"""Room on the disks that gyoza and its engine write to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gyoza.cli.checkup.findings import Finding, Group

if TYPE_CHECKING:
    from gyoza.cli.context import Context

_GROUP: Final = Group("disk")
_GB: Final = 1_000_000_000
_LITTLE: Final = 5 * _GB
_TOO_LITTLE: Final = _GB


def check_disks(context: Context, info: Mapping[str, Any]) -> list[Finding]:
    """Look at the user's data and state folders, and at the engine's.

    Args:
        context: Says where they are.
        info: What the engine says of itself; {} when none answers.
    """
    environment = context.environment
    data = environment.get("GYOZA_DATA_DIR")
    state = environment.get("GYOZA_WORKER_STATE_DIR")
    found = [
        check_folder("data", Path(data) if data else context.data_dir),
        check_folder("state", Path(state) if state else context.state_dir),
    ]
    root = info.get("DockerRootDir")
    if not root:
        return [*found, _GROUP.skipped("engine", "no engine answers")]
    if not Path(str(root)).is_dir():
        return [*found, _GROUP.skipped("engine", f"{root} is not on this machine")]
    return [*found, check_folder("engine", Path(str(root)), is_ours=False)]


def check_folder(name: str, folder: Path, *, is_ours: bool = True) -> Finding:
    """Look at one folder, or at the one where it would be made.

    Args:
        name: What is kept there.
        folder: Where.
        is_ours: Whether this user has to write there.
    """
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    if is_ours and not os.access(there, os.W_OK | os.X_OK):
        seen = f"{there} cannot be written by user {os.geteuid()}"
        return _GROUP.fail(name, seen, f"`chown` it, or choose another folder than {folder}")
    return judge_room(name, folder, shutil.disk_usage(there).free, is_ours=is_ours)


def judge_room(name: str, folder: Path, free_bytes: int, *, is_ours: bool = True) -> Finding:
    """Judge what is free."""
    seen = f"{free_bytes / _GB:.1f} GB free for {folder}"
    if free_bytes >= _LITTLE:
        return _GROUP.ok(name, seen)
    remedy = (
        "make room, or choose another folder" if is_ours else "make room: `docker system prune`"
    )
    if free_bytes < _TOO_LITTLE:
        return _GROUP.fail(name, seen, remedy)
    return _GROUP.warn(name, seen, remedy)

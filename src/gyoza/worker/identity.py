"""Who this worker is: across restarts, across reboots, and within this one process.

The state folder holds the worker's id; a lock on it lets one process at a time be that worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gyoza.models.ids import new_id
from gyoza.wire import strict_json

_MACHINE_ID: Final = Path("/etc/machine-id")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class StateFolderTaken(Exception):
    """Another worker uses the state folder; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Names that tell one worker, machine, boot and process from another.

    Attributes:
        worker_id: `wrk_...`; kept in the state folder.
        machine_id: Of the operating system's installation; a copied state folder shows by it.
        boot_id: Changes with every boot of the machine.
        session_id: Changes with every process.
    """

    worker_id: str
    machine_id: str
    boot_id: str
    session_id: str


@contextlib.contextmanager
def owned_state_folder(path: Path) -> Generator[Path]:
    """Make the folder if need be and hold it for this process; the kernel lets go when it ends.

    Raises:
        StateFolderTaken: Another process holds it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateFolderTaken(
                f"another worker uses {path}; stop it, or give this one its own folder with "
                "GYOZA_WORKER_STATE_DIR"
            ) from None
        yield path
    finally:
        os.close(lock)


def load_identity(
    state_dir: Path, *, now: datetime, random_bytes: Callable[[int], bytes] = os.urandom
) -> Identity:
    """Read who we are, or become somebody; the folder must be owned.

    Raises:
        StrictJsonError: `worker.json` is damaged.
        KeyError: It lacks a member.
    """
    path = state_dir / "worker.json"
    if path.exists():
        known: dict[str, Any] = strict_json.loads(path.read_bytes())
    else:
        known = {
            "worker_id": new_id("wrk", now=now, random_bytes=random_bytes),
            # For machines without an id of their own, such as most containers.
            "machine_id": random_bytes(16).hex(),
        }
        write_durably(path, strict_json.dumps(known))
    return Identity(
        worker_id=known["worker_id"],
        machine_id=_read_id(_MACHINE_ID) or known["machine_id"],
        boot_id=_read_id(_BOOT_ID) or "unknown",
        session_id=random_bytes(16).hex(),
    )


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file's content so that after a crash there is the old or the new, never half."""
    hidden = path.with_name(f".{path.name}.new")
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    hidden.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_id(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return ""

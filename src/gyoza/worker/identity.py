"""Who this worker is: across restarts, across reboots, and within this one process.

The state folder holds the worker's id; a lock on it lets one process at a time be that worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gyoza.models.ids import new_id
from gyoza.wire import strict_json

HAND_OVER: Final = signal.SIGUSR1
HAND_OVER_PATIENCE_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.05
_MACHINE_ID: Final = Path("/etc/machine-id")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class StateFolderTaken(Exception):
    """Another worker uses the state folder; the message says what to do."""


class IdentityDamaged(Exception):
    """The file that says who this worker is cannot be read; the message says what to do."""


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
def owned_state_folder(
    path: Path, *, replaces: bool = False, sleep: Callable[[float], None] | None = None
) -> Generator[Path]:
    """Make the folder if need be and hold it for this process; the kernel lets go when it ends.

    Args:
        path: The folder.
        replaces: Have the process that holds it hand over, and wait for that.
        sleep: Lets seconds pass; needed to replace.

    Raises:
        StateFolderTaken: Another process holds it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(lock) and not (replaces and sleep and _taken_over(lock, sleep)):
            raise StateFolderTaken(
                f"another worker uses {path}; stop it, have it hand over with "
                "`gyoza worker start --replace`, or give this one its own folder with "
                "GYOZA_WORKER_STATE_DIR"
            )
        # For a successor that wants to replace us.
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield path
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken_over(lock: int, sleep: Callable[[float], None]) -> bool:
    """Signal the holder to hand over, and wait until it has let go."""
    holder = os.pread(lock, 20, 0)
    if holder.isdigit():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(holder), HAND_OVER)
    for _ in range(round(HAND_OVER_PATIENCE_S / _LOOK_EVERY_S)):
        if _locked(lock):
            return True
        sleep(_LOOK_EVERY_S)
    return False


def load_identity(
    state_dir: Path, *, now: datetime, random_bytes: Callable[[int], bytes] = os.urandom
) -> Identity:
    """Read who we are, or become somebody; the folder must be owned.

    Raises:
        IdentityDamaged: `worker.json` is not what a worker writes.
    """
    path = state_dir / "worker.json"
    if path.exists():
        known = _known(path)
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


def _known(path: Path) -> dict[str, str]:
    try:
        known: Any = strict_json.loads(path.read_bytes())
        found = {name: known[name] for name in ("worker_id", "machine_id")}
    except (strict_json.StrictJsonError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    if not all(isinstance(each, str) and each for each in found.values()):
        raise _damaged(path, "worker_id and machine_id are to be text")
    return found


def _damaged(path: Path, why: str) -> IdentityDamaged:
    return IdentityDamaged(
        f"{path} does not say who this worker is ({why}); put back a copy of it, or write "
        '{"worker_id": "wrk_...", "machine_id": "..."} with the id that `gyoza worker list` shows '
        "for this machine; or delete it to become a new worker, which leaves containers of the old "
        "one running (`docker ps --filter label=org.gyoza.managed` shows them)"
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

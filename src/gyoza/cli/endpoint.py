"""How commands of one user find each other: the files of a running `gyoza dev` and the last run.

Both are hints: unreadable or outdated ones count as absent, never as an error.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

_ENDPOINT: Final = "endpoint.json"
_LAST_RUN: Final = "last_run.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running `gyoza dev`.

    Attributes:
        url: Of its server.
        pid: Of its supervisor.
        data_dir: Where it keeps its data.
    """

    url: str
    pid: int
    data_dir: str


def find_endpoint(state_dir: Path) -> Endpoint | None:
    """Return the running `gyoza dev` of this user, if there is one."""
    raw = _read(state_dir / _ENDPOINT)
    try:
        endpoint = Endpoint(str(raw["url"]), int(raw["pid"]), str(raw["data_dir"]))
    except (KeyError, TypeError, ValueError):
        return None
    return endpoint if _is_alive(endpoint.pid) else None


def write_endpoint(state_dir: Path, endpoint: Endpoint) -> None:
    """Say where a `gyoza dev` can be reached."""
    _write(state_dir / _ENDPOINT, asdict(endpoint))


def remove_endpoint(state_dir: Path, pid: int) -> None:
    """Take back what this process said; another's word stays."""
    if _read(state_dir / _ENDPOINT).get("pid") == pid:
        (state_dir / _ENDPOINT).unlink(missing_ok=True)


def note_last_run(state_dir: Path, run_id: str, url: str) -> None:
    """Remember the run that `@last` means; a read-only home is no reason to fail."""
    try:
        _write(state_dir / _LAST_RUN, {"run_id": run_id, "url": url})
    except OSError:
        return


def find_last_run(state_dir: Path) -> str | None:
    """Return the id of the run submitted last by this user."""
    run_id = _read(state_dir / _LAST_RUN).get("run_id")
    return run_id if isinstance(run_id, str) else None


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(file: Path) -> dict[str, Any]:
    try:
        value: Any = json.loads(file.read_text("utf-8"))  # our own file, not from outside
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _write(file: Path, value: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(value, stream)
    part.replace(file)

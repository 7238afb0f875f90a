"""How commands of one user find each other: what a running `gyoza dev` and the last run leave.

Both are hints: unreadable or outdated ones count as absent, never as an error. Where a running
`gyoza dev` is, `gyoza.client.dev_endpoint` reads for the client and for the command.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from gyoza.client.dev_endpoint import ENDPOINT_FILE, Endpoint, read_state

_LAST_RUN: Final = "last_run.json"


def write_endpoint(state_dir: Path, endpoint: Endpoint) -> None:
    """Say where a `gyoza dev` can be reached."""
    _write(state_dir / ENDPOINT_FILE, asdict(endpoint))


def remove_endpoint(state_dir: Path, pid: int) -> None:
    """Take back what this process said; another's word stays."""
    if read_state(state_dir / ENDPOINT_FILE).get("pid") == pid:
        (state_dir / ENDPOINT_FILE).unlink(missing_ok=True)


def note_last_run(state_dir: Path, run_id: str, url: str) -> None:
    """Remember the run that `@last` means; a read-only home is no reason to fail."""
    try:
        _write(state_dir / _LAST_RUN, {"run_id": run_id, "url": url})
    except OSError:
        return


def find_last_run(state_dir: Path) -> str | None:
    """Return the id of the run submitted last by this user."""
    run_id = read_state(state_dir / _LAST_RUN).get("run_id")
    return run_id if isinstance(run_id, str) else None


def _write(file: Path, value: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(value, stream)
    part.replace(file)

"""Where a running `gyoza dev` of this user is: the one reader of the file in which it says so.

The file is a hint: an unreadable or outdated one counts as absent, never as an error. The command
writes it, see `gyoza.cli.endpoint`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import platformdirs

ENDPOINT_FILE: Final = "endpoint.json"
STATE_VARIABLE: Final = "XDG_STATE_HOME"


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


def state_dir(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's state, by the XDG base directory specification."""
    given = environment.get(STATE_VARIABLE)
    return Path(given) / "gyoza" if given else platformdirs.user_state_path("gyoza")


def find_endpoint(folder: Path) -> Endpoint | None:
    """Return the running `gyoza dev` of this user, if there is one.

    Args:
        folder: The user's state: `state_dir`.
    """
    raw = read_state(folder / ENDPOINT_FILE)
    try:
        endpoint = Endpoint(str(raw["url"]), int(raw["pid"]), str(raw["data_dir"]))
    except (KeyError, TypeError, ValueError):
        return None
    return endpoint if _is_alive(endpoint.pid) else None


def read_state(file: Path) -> dict[str, Any]:
    """Return the object in a file of the user's state; {} when there is none."""
    try:
        value: Any = json.loads(file.read_text("utf-8"))  # our own file, not from outside
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True

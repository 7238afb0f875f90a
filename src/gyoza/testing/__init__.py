"""For op authors: run an op without a server, in this process, in a process or in a container.

Everything here judges an op as a worker would: the same files, limits and checks. What is exported
is loaded when first asked for, so that a test suite which does not use it pays nothing. How
projects are read and built is told in `gyoza.project`, what a terminal shows in `gyoza.cli`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gyoza.testing.container import run_container
    from gyoza.testing.in_process import run
    from gyoza.testing.results import Event, RunFailed, RunResult

__all__ = ["Event", "RunFailed", "RunResult", "run", "run_container"]

_HOMES = {
    "Event": "results",
    "RunFailed": "results",
    "RunResult": "results",
    "run": "in_process",
    "run_container": "container",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)

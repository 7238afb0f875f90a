"""Whom a much more urgent run may displace, and the fewest of them that make room for it."""

from __future__ import annotations

from typing import NamedTuple


class Eviction(NamedTuple):
    """An attempt that has to give way.

    Attributes:
        run_id: Whose attempt it is, and `fence` which.
        fence: The number it was assigned under.
        worker_id: Where it is.
        for_run_id: The run that gets its place.
    """

    run_id: str
    fence: int
    worker_id: str
    for_run_id: str

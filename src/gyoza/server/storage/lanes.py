"""Lanes: pending runs that are interchangeable but for their age, under one short name.

Runs of one priority, shape and owner stand in one lane, oldest first. What holds its head back
holds the whole lane back, so the planner reads the heads of all lanes and, of those that find room,
as many runs as there is room for: however many wait, it reads only what it can use. A lane's name
begins with its priority, highest first, so that a walk over the names meets urgent lanes first.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from gyoza.models import OpRun
from gyoza.wire import strict_json

# Beyond every priority a 64-bit column can hold, so that the name's first part is never negative.
_ABOVE_ALL: Final = 10**19
_DIGEST_BYTES: Final = 10


def lane_of(run: OpRun) -> str:
    """Return the name of the lane that the run would stand in, 41 ASCII characters."""
    needs = run.current_attempt.constraints if run.attempts else run.constraints
    alike = [needs.cpu, needs.ram_mb, needs.vram_mb, sorted(run.execution.selectors.items())]
    digest = blake2b(strict_json.dumps([*alike, run.owner]), digest_size=_DIGEST_BYTES)
    return f"{_ABOVE_ALL - run.priority:020d}-{digest.hexdigest()}"

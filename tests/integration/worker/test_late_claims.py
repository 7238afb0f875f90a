"""Answers long on their way: a process that stood still must not begin what others have."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gyoza.wire.messages import Claim, Claimed
from gyoza.worker.clock import Clock
from gyoza.worker.runtime.fake_script import Script
from tests.integration.worker.rig import a_rig, an_assignment

pytestmark = pytest.mark.anyio


class JumpingClock:
    """A clock of a process that was stopped for a while without noticing."""

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self.stood_still_s = 0.0

    def now(self) -> datetime:
        return self._inner.now()

    def monotonic(self) -> float:
        return self._inner.monotonic() + self.stood_still_s

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class LateAnswers:
    """A server whose first answer with work is read long after it was given."""

    def __init__(self, inner: Any, clock: JumpingClock, late_s: float) -> None:
        self._inner = inner
        self._clock = clock
        self._late_s = late_s
        self.asked_again = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def claim(self, worker_id: str, message: Claim) -> Claimed:
        if self._clock.stood_still_s:
            self.asked_again.set()
            # By now the attempts of that claim are somebody else's.
            await asyncio.Event().wait()
        answer: Claimed = await self._inner.claim(worker_id, message)
        self._clock.stood_still_s = self._late_s
        return answer


@pytest.mark.parametrize(("late_s", "begun"), [(59.0, 1), (61.0, 0)])
async def test_what_was_claimed_is_begun_only_while_it_is_surely_ours(
    tmp_path: Path, late_s: float, begun: int
) -> None:
    async with a_rig(tmp_path, Script(duration_s=float("inf"))) as rig:
        clock = JumpingClock(rig.services.clock)
        late: Any = LateAnswers(rig.server, clock, late_s)
        rig.services.clock = clock
        rig.services.server = late

        await rig.server.assign(an_assignment())
        await late.asked_again.wait()

        assert len(rig.agent.held_runs) == begun

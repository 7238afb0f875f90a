"""Asking the server for work, one long poll after the other, and giving back what came too late.

What is done with an assignment is the agent's business.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final, Protocol

import structlog

from gyoza.wire.messages import (
    Assignment,
    CancelOrder,
    Claim,
    Claimed,
    Held,
    Release,
    ReleaseItem,
)
from gyoza.worker.execution.services import Services
from gyoza.worker.server_port import ServerAway, WorkerUnknown
from gyoza.worker.waiting import Backoff, end, first_of, happens_within

CLAIM_WAIT_S: Final = 25.0
PAUSE_S: Final = 5.0
_log = structlog.stdlib.get_logger(__name__)


class Holder(Protocol):
    """Whoever holds what was claimed."""

    def take(self, assignments: list[Assignment]) -> None:
        """Begin with what the server assigns."""
        ...

    def cancel(self, orders: list[CancelOrder]) -> None:
        """Stop what the server wants stopped."""
        ...

    def stopping(self) -> list[Held]:
        """Name what is being stopped already."""
        ...

    def holding(self) -> list[Held]:
        """Name all that has been taken and that the server may think to be here."""
        ...

    def is_held(self, assignment: Assignment) -> bool:
        """Whether an assignment has been taken already."""
        ...

    def on_unknown(self) -> None:
        """The server wants a registration first."""
        ...


class Claims:
    """The claims of one worker process.

    Args:
        services: The parts that attempts share.
        holder: Is given what the server answers.
        draining: Set once nothing more is to be taken.
        draw: Claim ids and jitter.

    Attributes:
        allowed: Cleared while the server wants this worker to take nothing.
    """

    def __init__(
        self, services: Services, holder: Holder, *, draining: asyncio.Event, draw: random.Random
    ) -> None:
        self._services = services
        self._holder = holder
        self._draining = draining
        self._draw = draw
        self.allowed = asyncio.Event()
        self.allowed.set()

    async def run(self) -> None:
        """Claim until the worker drains, then give back what came too late.

        Raises:
            ServerRefused: The server wants nothing of this worker.
        """
        backoff = Backoff(self._draw)
        claim = self._new_claim()
        while not self._draining.is_set():
            await self._until_claiming_makes_sense()
            answer = await self._claim_unless_draining(claim, backoff)
            if answer is not None:
                self._holder.take(answer.assignments)
                self._holder.cancel(answer.cancel)
                claim = self._new_claim()
        await self._give_back(claim)

    async def _until_claiming_makes_sense(self) -> None:
        while self._services.health.problem and not self._draining.is_set():
            await happens_within(self._services.clock, PAUSE_S, self._draining)
        if not self.allowed.is_set():
            await first_of(self.allowed.wait(), self._draining.wait())

    async def _claim_unless_draining(self, claim: Claim, backoff: Backoff) -> Claimed | None:
        """Claim; None if nothing is known of it, so that the same claim is to be repeated."""
        asked_s = self._services.clock.monotonic()
        asking = asyncio.ensure_future(
            self._services.server.claim(self._services.identity.worker_id, claim)
        )
        try:
            await first_of(asyncio.wait([asking]), self._draining.wait())
            if not asking.done():
                return None
            answer = await asking
        except ServerAway:
            await happens_within(self._services.clock, backoff.next_s(), self._draining)
            return None
        except WorkerUnknown:
            self._holder.on_unknown()
            await happens_within(self._services.clock, PAUSE_S, self._draining)
            return None
        finally:
            await end(asking)
        backoff.reset()
        if self._services.clock.monotonic() - asked_s > self._services.lease_s:
            # It may have been given since: begun now, it would run beside whoever has it.
            return None
        return answer

    def _new_claim(self) -> Claim:
        claim_id = f"{self._draw.getrandbits(128):032x}"
        return Claim(
            session_id=self._services.identity.session_id,
            claim_id=claim_id,
            # An answer that waited is no late one.
            wait_s=min(CLAIM_WAIT_S, self._services.lease_s / 2),
            stopping=self._holder.stopping(),
            holding=self._holder.holding(),
        )

    async def _give_back(self, claim: Claim) -> None:
        """The server may have answered the last claim just when it was given up: ask once more."""
        claim.wait_s = 0
        try:
            answer = await self._services.server.claim(self._services.identity.worker_id, claim)
            items = [
                ReleaseItem(
                    run_id=each.run_id,
                    fence=each.fence,
                    token=each.token,
                    reason="the worker is draining",
                )
                for each in answer.assignments
                if not self._holder.is_held(each)
            ]
            if items:
                message = Release(session_id=self._services.identity.session_id, items=items)
                await self._services.server.release(self._services.identity.worker_id, message)
        except (ServerAway, WorkerUnknown) as fault:
            # Unacknowledged assignments go back by themselves.
            _log.info("could not give assignments back", why=str(fault))

"""A server in memory: gives out what it is told to, keeps what it is told, and fails on demand.

It keeps the protocol's promises (the same claim has the same answer, lower numbers are acknowledged
and ignored, a gap is answered by the number expected, a stale fence is refused, a process that
registers goes on with what it brings along and has lost the rest), so that a worker can be tested
against it without a network or a database.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, final

from msgspec.structs import replace

from gyoza.wire.messages import (
    Assignment,
    CancelOrder,
    Claim,
    Claimed,
    ContainerReport,
    Heartbeat,
    HeartbeatAnswer,
    Held,
    Register,
    Registered,
    Release,
    ReleaseItem,
    Report,
    ReportAnswer,
    Reported,
    ReportedEvent,
    ReportedLog,
    ReportItem,
    Result,
    Verdict,
)
from gyoza.worker.clock import Clock
from gyoza.worker.reporting import microseconds
from gyoza.worker.server_port import (
    ArtifactMissing,
    Content,
    ServerAway,
    ServerFault,
    ServerRefused,
)

CLUSTER: Final = "cluster-fake"
_PIECE_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class Attempt:
    """What the server knows of one assignment.

    Attributes:
        is_claimed: A worker has it.
        is_stale: Every report on it is answered so.
        is_lost: The worker came back without it.
        refusals: Words for its next reports, each answered INVALID.
    """

    assignment: Assignment
    phases: list[str] = field(default_factory=list[str])
    events: list[ReportedEvent] = field(default_factory=list[ReportedEvent])
    logs: list[ReportedLog] = field(default_factory=list[ReportedLog])
    result: Result | None = None
    released: ReleaseItem | None = None
    is_claimed: bool = False
    is_stale: bool = False
    is_lost: bool = False
    refusals: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        """All output so far."""
        return "".join(log.text for log in self.logs)

    @property
    def is_over(self) -> bool:
        """It has a result, was given back, or was lost."""
        return self.result is not None or self.released is not None or self.is_lost


@final
class FakeServer:
    """A `ServerPort` in memory.

    Args:
        clock: For the times in answers.
        heartbeat_interval_s: As workers are told.
    """

    def __init__(self, clock: Clock, *, heartbeat_interval_s: float = 5.0) -> None:
        self._clock = clock
        self._interval_s = heartbeat_interval_s
        self._faults: dict[str, list[ServerFault]] = {}
        self._waiting: list[Assignment] = []
        self._claims: dict[str, Claimed] = {}
        self._news = asyncio.Condition()
        self._cancel: list[CancelOrder] = []
        self._stop: list[Held] = []
        self._cuts: list[int] = []
        self._sessions: dict[str, str] = {}
        self.wants_no_strangers = False
        self.attempts: dict[tuple[str, int], Attempt] = {}
        self.registrations: list[Register] = []
        self.heartbeats: list[Heartbeat] = []
        self.reports: list[Report] = []
        self.artifacts: dict[str, bytes] = {}
        self.downloads: list[tuple[str, int]] = []
        self.uploads: list[tuple[str, int]] = []
        self._upload_cuts: list[int] = []
        self._arrived: dict[str, bytes] = {}
        self.is_draining = False
        self.away: ServerFault | None = None

    def fail_next(self, call: str, *faults: ServerFault) -> None:
        """Let the next calls of a method raise these, in order, and do nothing else."""
        self._faults.setdefault(call, []).extend(faults)

    def cut_next(self, *after_bytes: int) -> None:
        """Let the connections of the next downloads break after so many bytes each."""
        self._cuts.extend(after_bytes)

    def cut_next_uploads(self, *after_bytes: int) -> None:
        """Let the connections of the next uploads break when so much of the file has arrived."""
        self._upload_cuts.extend(after_bytes)

    def put(self, content: bytes) -> str:
        """Store a file; returns its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.artifacts[sha256] = content
        return sha256

    async def assign(self, assignment: Assignment) -> Attempt:
        """Give an assignment to whoever claims next."""
        attempt = Attempt(assignment)
        self.attempts[(assignment.run_id, assignment.fence)] = attempt
        self._waiting.append(assignment)
        await self._announce()
        return attempt

    async def cancel(self, attempt: Attempt, message: str = "", reason: str = "CANCELLED") -> None:
        """Order a cancel, with the claim that waits or the next heartbeat."""
        run_id, fence = attempt.assignment.run_id, attempt.assignment.fence
        self._cancel.append(CancelOrder(run_id=run_id, fence=fence, reason=reason, message=message))
        await self._announce()

    async def supersede(self, attempt: Attempt) -> None:
        """Order a stop with the next heartbeat, and take nothing of it any more."""
        attempt.is_stale = True
        self._stop.append(Held(run_id=attempt.assignment.run_id, fence=attempt.assignment.fence))

    async def until(self, attempt: Attempt) -> Attempt:
        """Wait until an attempt is over."""
        async with self._news:
            await self._news.wait_for(lambda: attempt.is_over)
        return attempt

    async def until_reported(self) -> None:
        """Wait for the next report."""
        async with self._news:
            seen = len(self.reports)
            await self._news.wait_for(lambda: len(self.reports) > seen)

    async def register(self, message: Register) -> Registered:
        """See `ServerPort.register`."""
        self._meet("register")
        self.registrations.append(message)
        if self._sessions.get(message.worker_id) != message.session_id:
            self._lose_what_is_gone(message)
        self._sessions[message.worker_id] = message.session_id
        await self._announce()
        return Registered(
            worker_id=message.worker_id,
            verdicts=[self._verdict(each) for each in message.containers],
            cluster_id=CLUSTER,
            server_time_us=microseconds(self._clock.now()),
            heartbeat_interval_s=self._interval_s,
            lease_s=60.0,
        )

    def _lose_what_is_gone(self, message: Register) -> None:
        there = {(each.run_id, each.fence) for each in message.containers}
        for key, attempt in self.attempts.items():
            if attempt.is_claimed and not attempt.is_over and key not in there:
                attempt.is_lost = attempt.is_stale = True

    def _verdict(self, container: ContainerReport) -> Verdict:
        attempt = self.attempts.get((container.run_id, container.fence))
        if attempt is None:
            word = "STOP" if self.wants_no_strangers else "LIMBO"
            return Verdict(name=container.name, verdict=word, why="its run is not known")
        if attempt.is_over or attempt.is_stale or attempt.assignment.attempt != container.attempt:
            return Verdict(name=container.name, verdict="STOP", why="its attempt is over")
        key = (container.run_id, container.fence)
        cancel = [each for each in self._cancel if (each.run_id, each.fence) == key]
        return Verdict(
            name=container.name,
            verdict="ADOPT" if container.state == "running" else "FINISH",
            assignment=replace(attempt.assignment, cancel=next(iter(cancel), None)),
            next_event_seq=len(attempt.events) + 1,
            next_log_seq=len(attempt.logs) + 1,
        )

    async def heartbeat(self, worker_id: str, message: Heartbeat) -> HeartbeatAnswer:
        """See `ServerPort.heartbeat`."""
        self._meet("heartbeat")
        self.heartbeats.append(message)
        await self._announce()
        return HeartbeatAnswer(
            server_time_us=microseconds(self._clock.now()),
            interval_s=self._interval_s,
            draining=self.is_draining,
            cancel=list(self._cancel),
            stop=list(self._stop),
        )

    async def claim(self, worker_id: str, message: Claim) -> Claimed:
        """See `ServerPort.claim`; waits for as long as it takes unless `wait_s` is 0."""
        self._meet("claim")
        if message.claim_id not in self._claims:
            if message.wait_s:
                async with self._news:
                    await self._news.wait_for(lambda: self._waiting or self._untold(message))
            cancel = self._untold(message)
            self._claims[message.claim_id] = Claimed(assignments=self._waiting, cancel=cancel)
            for each in self._waiting:
                self.attempts[(each.run_id, each.fence)].is_claimed = True
            self._waiting = []
        return self._claims[message.claim_id]

    def _untold(self, message: Claim) -> list[CancelOrder]:
        known = {(each.run_id, each.fence) for each in message.stopping}
        open_orders = [each for each in self._cancel if (each.run_id, each.fence) not in known]
        return [each for each in open_orders if not self._is_over(each)]

    def _is_over(self, order: CancelOrder) -> bool:
        return self.attempts[(order.run_id, order.fence)].is_over

    async def report(self, worker_id: str, message: Report) -> Reported:
        """See `ServerPort.report`."""
        self._meet("report")
        self.reports.append(message)
        answer = Reported(items=[self._take(item) for item in message.items])
        await self._announce()
        return answer

    async def release(self, worker_id: str, message: Release) -> Reported:
        """See `ServerPort.release`."""
        self._meet("release")
        for item in message.items:
            self.attempts[(item.run_id, item.fence)].released = item
        await self._announce()
        return Reported(
            items=[
                ReportAnswer(run_id=item.run_id, fence=item.fence, status="OK")
                for item in message.items
            ]
        )

    async def put_artifact(
        self, sha256: str, size_bytes: int, media_type: str, content: Content
    ) -> None:
        """See `ServerPort.put_artifact`."""
        self._meet("put_artifact")
        begin = self._arrived.get(sha256, b"")
        self.uploads.append((sha256, len(begin)))
        received = begin + b"".join([piece async for piece in content(len(begin))])
        if self._upload_cuts:
            self._arrived[sha256] = received[: self._upload_cuts.pop(0)]
            raise ServerAway("the connection broke")
        if hashlib.sha256(received).hexdigest() != sha256 or len(received) != size_bytes:
            raise ServerRefused("the content is not what was announced", code="HASH_MISMATCH")
        self.artifacts[sha256] = received

    @asynccontextmanager
    async def get_artifact(
        self, sha256: str, *, start: int = 0
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """See `ServerPort.get_artifact`."""
        self._meet("get_artifact")
        self.downloads.append((sha256, start))
        if sha256 not in self.artifacts:
            raise ArtifactMissing(f"no file {sha256}", code="ARTIFACT_NOT_FOUND", status=404)

        async def pieces() -> AsyncIterator[bytes]:
            content = self.artifacts[sha256][start:]
            cut = self._cuts.pop(0) if self._cuts else None
            sent = content[:cut]
            for at in range(0, len(sent), _PIECE_BYTES):
                yield sent[at : at + _PIECE_BYTES]
            if cut is not None:
                raise ServerAway("the connection broke")

        yield pieces()

    async def close(self) -> None:
        """See `ServerPort.close`."""

    def _take(self, item: ReportItem) -> ReportAnswer:
        answer = ReportAnswer(run_id=item.run_id, fence=item.fence, status="OK")
        attempt = self.attempts.get((item.run_id, item.fence))
        if attempt is None or attempt.is_stale or attempt.assignment.token != item.token:
            answer.status, answer.detail = "STALE", "the attempt is over"
        elif attempt.refusals:
            answer.status, answer.detail = "INVALID", attempt.refusals.pop(0)
        elif _has_gap(attempt, item):
            answer.status = "GAP"
            answer.expected_event_seq = len(attempt.events) + 1
            answer.expected_log_seq = len(attempt.logs) + 1
        else:
            _append(attempt, item)
        return answer

    def _meet(self, call: str) -> None:
        faults = self._faults.get(call)
        if faults:
            raise faults.pop(0)
        if self.away is not None:
            raise self.away

    async def _announce(self) -> None:
        async with self._news:
            self._news.notify_all()


def _has_gap(attempt: Attempt, item: ReportItem) -> bool:
    events, logs = item.events, item.logs
    return (bool(events) and events[0].seq > len(attempt.events) + 1) or (
        bool(logs) and logs[0].seq > len(attempt.logs) + 1
    )


def _append(attempt: Attempt, item: ReportItem) -> None:
    if item.phase is not None:
        attempt.phases.append(item.phase)
    attempt.events += [event for event in item.events if event.seq > len(attempt.events)]
    attempt.logs += [log for log in item.logs if log.seq > len(attempt.logs)]
    attempt.result = item.result or attempt.result

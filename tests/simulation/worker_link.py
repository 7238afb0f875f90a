"""The server as a simulated worker sees it: production use cases at the end of an unreliable wire.

Implements the worker's `ServerPort`. Messages are encoded and decoded on the way, so no two
processes share an object. Every write a worker made, and what became of it, is written down at the
moment the server answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from gyoza.server.api.worker_protocol import MAX_WAIT_S
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import reports, workers
from gyoza.wire import messages
from gyoza.wire.messages import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAnswer,
    Register,
    Registered,
    Release,
    Report,
    Reported,
    ReportItem,
)
from gyoza.worker.server_port import ArtifactMissing, Content
from tests.simulation.network import Link, Network
from tests.simulation.recording import Record, Recorder
from tests.simulation.server import SimServer
from tests.simulation.virtual_loop import VirtualClock

M = TypeVar("M", bound=msgspec.Struct)
CALL_S = 10.0
POLL_S = 5.0


class WorkerLink:
    """A `ServerPort` of one worker process."""

    def __init__(
        self,
        server: SimServer,
        network: Network,
        link: Link,
        clock: VirtualClock,
        recorder: Recorder,
    ) -> None:
        self._server, self._network, self._link = server, network, link
        self._clock, self._recorder = clock, recorder

    async def register(self, message: Register) -> Registered:
        async def handle() -> Registered:
            command = copied(message)
            outside = self._server.outside
            answer = await self._server.write(
                lambda uow: workers.register_worker(uow, command, outside)
            )
            self._note(
                "register",
                command.worker_id,
                session=command.session_id,
                containers=[_plain(each) for each in command.containers],
                verdicts=[[each.name, each.verdict] for each in answer.verdicts],
            )
            return answer

        return copied(await self._network.call(self._link, handle, CALL_S))

    async def heartbeat(self, worker_id: str, message: Heartbeat) -> HeartbeatAnswer:
        def work(uow: UnitOfWork, command: Heartbeat) -> HeartbeatAnswer:
            return workers.heartbeat(uow, worker_id, command, self._server.outside)

        async def handle() -> HeartbeatAnswer:
            command = copied(message)
            answer = await self._server.write(lambda uow: work(uow, command))
            self._note(
                "heartbeat",
                worker_id,
                session=command.session_id,
                held=_fences(command.held),
                stop=_fences(answer.stop),
                cancel=_fences(answer.cancel),
                draining=answer.draining,
            )
            return answer

        return copied(await self._network.call(self._link, handle, CALL_S))

    async def claim(self, worker_id: str, message: Claim) -> Claimed:
        async def handle() -> Claimed:
            command = copied(message)
            answer = await self._claimed(worker_id, command)
            if answer.assignments:
                self._note(
                    "claim", worker_id, claim=command.claim_id, held=_fences(answer.assignments)
                )
            return answer

        return copied(await self._network.call(self._link, handle, message.wait_s + CALL_S))

    async def report(self, worker_id: str, message: Report) -> Reported:
        def work(uow: UnitOfWork, command: Report) -> Reported:
            return reports.report(uow, worker_id, command, self._server.outside)

        async def handle() -> Reported:
            command = copied(message)
            # Written down before it is carried out: its answer may never come to be known.
            notes = [
                self._note("report", worker_id, **_reported(item), status="UNKNOWN")
                for item in command.items
            ]
            answer = await self._server.write(lambda uow: work(uow, command))
            for note, each in zip(notes, answer.items, strict=True):
                note["status"], note["done"] = each.status, self._clock.now_us()
            return answer

        return copied(await self._network.call(self._link, handle, CALL_S))

    async def release(self, worker_id: str, message: Release) -> Reported:
        async def handle() -> Reported:
            command = copied(message)
            outside = self._server.outside
            answer = await self._server.write(
                lambda uow: workers.release(uow, worker_id, command, outside)
            )
            for each in answer.items:
                self._note(
                    "release", worker_id, run=each.run_id, fence=each.fence, status=each.status
                )
            return answer

        return copied(await self._network.call(self._link, handle, CALL_S))

    async def put_artifact(
        self, sha256: str, size_bytes: int, media_type: str, content: Content
    ) -> None:
        raise ArtifactMissing("the simulated ops leave no files")

    @asynccontextmanager
    async def get_artifact(
        self, sha256: str, *, start: int = 0
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        raise ArtifactMissing("the simulated ops take no files")
        yield

    async def close(self) -> None: ...

    async def _claimed(self, worker_id: str, command: Claim) -> Claimed:
        """The long poll as the API answers it: woken by its topic, with a poll behind."""
        server, clock = self._server, self._clock
        deadline = clock.monotonic() + min(command.wait_s, MAX_WAIT_S)
        async with server.store.wakeups.subscribe(f"worker:{worker_id}") as waiter:
            while True:
                claimed = await server.write(
                    lambda uow: workers.claim(uow, worker_id, command, server.outside)
                )
                left_s = deadline - clock.monotonic()
                if claimed.assignments or claimed.cancel or left_s <= 0:
                    return claimed
                await waiter.wait(min(left_s, POLL_S))

    def _note(self, call: str, worker_id: str, **facts: Any) -> Record:
        return self._recorder.note("net", call=call, worker=worker_id, **facts)


def copied(message: M) -> M:
    """The message as another process would read it."""
    return messages.decode(messages.encode(message), type(message))


def result_digest(item: ReportItem) -> str:
    """What names a result in the records; "" without one."""
    if item.result is None:
        return ""
    return hashlib.sha256(messages.encode(item.result)).hexdigest()[:16]


def _reported(item: ReportItem) -> dict[str, Any]:
    result = item.result
    return {
        "run": item.run_id,
        "fence": item.fence,
        "digest": result_digest(item),
        "outcome": None if result is None else result.outcome,
        "reason": None if result is None else result.reason,
        "phase": item.phase,
        "events": [each.type for each in item.events],
    }


def _fences(held: Any) -> list[list[Any]]:
    return [[each.run_id, each.fence] for each in held]


def _plain(message: msgspec.Struct) -> dict[str, Any]:
    return msgspec.to_builtins(message)

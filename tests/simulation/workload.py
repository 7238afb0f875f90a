"""What is asked of a world: its ops with their scripts, and clients that submit, watch and meddle.

Every request a client made and what it was told is written down, and so is every request that the
server carried out, because a repeated one is carried out twice.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import definitions, idempotency, runs
from gyoza.server.use_cases.documents import run_document
from gyoza.server.use_cases.workers import resume_worker
from gyoza.wire import strict_json
from gyoza.wire.messages import CancelRun, PutDefinition, SubmitRun
from gyoza.worker.runtime.fake_script import Append, Say, Script
from gyoza.worker.server_port import ServerAway, ServerRefused
from tests.simulation.network import Link, Network
from tests.simulation.recording import Recorder
from tests.simulation.server import SimServer
from tests.simulation.virtual_loop import VirtualClock

CALL_S: Final = 8.0
PATIENCE: Final = 12
Command = Callable[[UnitOfWork], Any]


def _answer(inner: Path | None, outer: Path | None) -> int:
    """What every honest op does at its end: say whose attempt it was."""
    if inner is None or outer is None:
        return 1
    context = json.loads((inner / "context.json").read_bytes())
    document = {"run": context["run_id"], "attempt": context["attempt"]}
    (outer / "output.json").write_bytes(json.dumps(document).encode())
    return 0


def _script(duration_s: float, **more: Any) -> Script:
    steps = (
        Say(b"begun\n"),
        Append("events.jsonl", b'{"type": "progress", "msg": 40}\n', after_s=duration_s / 2),
    )
    return Script(**{"steps": steps, "duration_s": duration_s / 2, "on_run": _answer, **more})


SCRIPTS: Final = {
    "quick": _script(0.2),
    "short": _script(3.0),
    "medium": _script(12.0),
    "long": _script(35.0),
    "stubborn": _script(9.0, ignores_sigterm=True),
    "failing": _script(2.0, on_run=None, exit_code=1),
    "hungry": _script(2.0, on_run=None, oom=True),
    "killed": _script(2.0, on_run=None, exit_code=137),
    "silent": _script(1.0, on_run=None),
}
WEIGHTS: Final = {
    "quick": 6,
    "short": 6,
    "medium": 6,
    "long": 4,
    "stubborn": 2,
    "failing": 2,
    "hungry": 1,
    "killed": 1,
    "silent": 1,
}


class Clients:
    """All callers of a world.

    Args:
        server, network, clock, recorder: The world's.
        draw: What they do, and when.
    """

    def __init__(
        self,
        server: SimServer,
        network: Network,
        clock: VirtualClock,
        recorder: Recorder,
        draw: random.Random,
    ) -> None:
        self.link = Link("clients")
        self._server, self._network, self._clock = server, network, clock
        self._recorder, self._draw = recorder, draw
        self._submitted: list[str] = []
        # Who waits for others gives hosts less to do, so half of the worlds know no waiting: they
        # stay as crowded as the faults of re-adoption need it.
        self._chains = random.Random()
        self._chains.setstate(draw.getstate())
        self._has_chains = self._chains.random() < 0.5
        self.open = 0

    async def register_ops(self) -> None:
        """Every op, before anything else happens."""
        for name in SCRIPTS:
            command = PutDefinition(
                id=name,
                version="1",
                image=name,
                output_specs={"run": {"type": "string"}, "attempt": {"type": "integer"}},
                execution={"grace_s": 3},
            )
            await self._server.write(
                lambda uow, command=command: definitions.put_definition(uow, command)
            )

    async def live(self, number: int, within_s: float) -> None:
        """One caller with one run: submit it, watch it, perhaps cancel or retry it."""
        draw = random.Random(self._draw.getrandbits(64))
        self.open += 1
        try:
            await self._clock.sleep(draw.uniform(0, within_s))
            run_id = await self._submit(number, draw)
            if run_id is not None:
                if draw.random() < 0.3:
                    await self._clock.sleep(draw.uniform(0.0, 20.0))
                    await self._until_told("cancel", run_id, lambda uow: _cancel(uow, run_id))
                await self._watch(run_id, draw)
        finally:
            self.open -= 1

    async def resume(self, worker_id: str) -> None:
        """An operator lets a drained worker work again."""
        await self._until_told(
            "resume", worker_id, lambda uow: _resumed(uow, worker_id, self._server)
        )

    async def _submit(self, number: int, draw: random.Random) -> str | None:
        key = f"key-{number}"
        before = self._before()
        command = SubmitRun(
            op_definition=draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0],
            inputs={},
            priority=draw.choice((0, 5, 5, 50)),
            constraints={
                "cpu": draw.choice((1, 1, 2)),
                "ram_mb": draw.choice((512, 1024, 2048)),
                **({"vram_mb": draw.choice((4000, 8000))} if draw.random() < 0.3 else {}),
            },
            retry_policy={"max_attempts": draw.choice((1, 1, 3)), "backoff_ms": 500},
            tags={"key": key, **before},
            after=[before["after"]] if "after" in before else [],
            after_any=[before["after_any"]] if "after_any" in before else [],
        )
        hashed = strict_json.dumps(msgspec.to_builtins(command, order="sorted"))
        idempotent = idempotency.IdempotencyKey("submitRun", key, idempotency.hash_of(hashed))

        def submit(uow: UnitOfWork) -> idempotency.Answer:
            run = runs.submit_run(uow, command, self._server.outside)
            return idempotency.Answer(201, run_document(run))

        def once(uow: UnitOfWork) -> dict[str, Any]:
            return idempotency.once(uow, idempotent, lambda: submit(uow))[0].body

        answer = await self._until_told("submit", key, once)
        if answer is None:
            return None
        self._submitted.append(answer["id"])
        return answer["id"]

    def _before(self) -> dict[str, str]:
        """Now and then a run to come after, by the way it has to end; the tags repeat it."""
        draw = self._chains
        if not self._has_chains or not self._submitted or draw.random() < 0.75:
            return {}
        return {draw.choice(("after", "after_any")): draw.choice(self._submitted[-6:])}

    async def _watch(self, run_id: str, draw: random.Random) -> None:
        retries = 0
        while True:
            await self._clock.sleep(draw.uniform(4.0, 12.0))
            seen = await self._request("read", run_id, lambda uow: _read(uow, run_id))
            if seen is None or seen["state"] in {"PENDING", "ASSIGNED", "RUNNING"}:
                continue
            if seen["state"] == "COMPLETED" or retries or draw.random() < 0.6:
                return
            retries += 1
            await self._until_told("retry", run_id, lambda uow: _retry(uow, run_id))

    async def _until_told(self, op: str, about: str, command: Command) -> dict[str, Any] | None:
        """Repeat a request until its outcome is known; give up after some time."""
        for _ in range(PATIENCE):
            answer = await self._request(op, about, command)
            if answer is not None:
                return None if "refused" in answer else answer
            await self._clock.sleep(self._draw.uniform(1.0, 6.0))
        return None

    async def _request(self, op: str, about: str, command: Command) -> dict[str, Any] | None:
        """One request; None when nobody knows what became of it."""

        async def handle() -> dict[str, Any]:
            served = self._recorder.note("api", op=op, about=about, outcome="unknown")
            try:
                answer = await self._server.write(command)
            except ServerRefused as fault:
                served["outcome"], served["why"] = "refused", fault.code
                raise
            served["outcome"] = "ok"
            return dict(answer)

        record = {"op": op, "about": about, "sent": self._clock.now_us()}
        try:
            answer = await self._network.call(self.link, handle, CALL_S)
        except ServerAway:
            self._recorder.note("client", **record, outcome="unknown")
            return None
        except ServerRefused as fault:
            self._recorder.note("client", **record, outcome="refused", why=fault.code)
            return {"refused": fault.code}
        seen = {name: answer.get(name) for name in ("id", "state", "outputs", "attempt", "over")}
        self._recorder.note("client", **record, outcome="ok", **seen)
        return answer


def _read(uow: UnitOfWork, run_id: str) -> dict[str, Any]:
    run = runs.get_run(uow, run_id)
    return {
        "id": run.id,
        "state": run.state.value,
        "outputs": run.outputs,
        "attempt": run.current_attempt.attempt,
    }


def _cancel(uow: UnitOfWork, run_id: str) -> dict[str, Any]:
    run, is_over = runs.cancel_run(uow, run_id, CancelRun(reason="changed my mind"))
    return {"id": run.id, "state": run.state.value, "over": is_over}


def _retry(uow: UnitOfWork, run_id: str) -> dict[str, Any]:
    run = runs.retry_run(uow, run_id)
    return {"id": run.id, "state": run.state.value, "attempt": run.current_attempt.attempt}


def _resumed(uow: UnitOfWork, worker_id: str, server: SimServer) -> dict[str, Any]:
    return {"id": resume_worker(uow, worker_id, server.outside).id}

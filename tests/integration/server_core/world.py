"""The server without HTTP and without loops: a real store, a still clock, callers and workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from gyoza.models import OpDefinition, OpRun
from gyoza.models.ids import new_id
from gyoza.server.clock import ManualClock
from gyoza.server.scheduling.planner import plan
from gyoza.server.settings import Settings
from gyoza.server.storage.records import Pulse
from gyoza.server.storage.store import Store
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases import (
    definitions,
    dispatch,
    leases,
    preemption,
    reports,
    runs,
    workers,
)
from gyoza.server.use_cases.outside import Outside
from gyoza.wire.messages import (
    Assignment,
    CancelRun,
    Capacity,
    Claim,
    Claimed,
    ContainerReport,
    Event,
    Gpu,
    Heartbeat,
    HeartbeatAnswer,
    Held,
    PutDefinition,
    Register,
    Registered,
    Release,
    ReleaseItem,
    Report,
    ReportAnswer,
    ReportedEvent,
    ReportItem,
    Result,
    SubmitRun,
)

T = TypeVar("T")


class World:
    """What a test needs to tell a run's story."""

    def __init__(self, path: Path, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.path = path
        self.store = Store.open(path, clock=self.clock)
        seeded = Random(7)
        self.outside = Outside(
            Settings(machinery_attempts=3),
            lambda kind, now: new_id(kind, now=now, random_bytes=seeded.randbytes),
            seeded,
        )

    def close(self) -> None:
        self.store.close()

    def restart(self) -> None:
        """End the server's process and start it again: only the database remains."""
        self.store.close()
        self.store = Store.open(self.path, clock=self.clock)

    def do(self, fn: Callable[[UnitOfWork], T]) -> T:
        return self.store.write_now(fn)

    # --- callers -----------------------------------------------------------------------------

    def put(self, **given: Any) -> tuple[OpDefinition, bool]:
        neutral: dict[str, Any] = {"id": "wordcount", "version": "1.0.0", "image": "wc:1"}
        command = PutDefinition(**{**neutral, **given})
        return self.do(lambda uow: definitions.put_definition(uow, command))

    def submit(self, **given: Any) -> OpRun:
        if "op_definition" not in given:
            given.setdefault("image", "busybox")
        command = SubmitRun(**given)
        return self.do(lambda uow: runs.submit_run(uow, command, self.outside))

    def run(self, run_id: str) -> OpRun:
        return self.do(lambda uow: runs.get_run(uow, run_id, events=True))

    def events(self, run_id: str) -> list[Event]:
        return self.do(lambda uow: runs.list_events(uow, run_id, limit=1000))

    def types(self, run_id: str) -> list[str]:
        return [event.type for event in self.events(run_id)]

    def cancel(self, run_id: str, reason: str = "") -> tuple[OpRun, bool]:
        return self.do(lambda uow: runs.cancel_run(uow, run_id, CancelRun(reason=reason)))

    def retry(self, run_id: str) -> OpRun:
        return self.do(lambda uow: runs.retry_run(uow, run_id))

    # --- the server's own ----------------------------------------------------------------------

    def dispatch(self) -> list[str]:
        settings = self.outside.settings
        self.do(lambda uow: uow.runs.ripen(uow.now()))
        made = plan(self.do(lambda uow: dispatch.read_snapshot(uow, settings)))
        return self.do(lambda uow: dispatch.apply_placements(uow, made.placements, settings))

    def displace(self) -> list[str]:
        """Plan, and ask those to give way that the plan names."""
        settings = self.outside.settings
        made = plan(self.do(lambda uow: dispatch.read_snapshot(uow, settings)))
        return self.do(lambda uow: preemption.apply_evictions(uow, made.evictions))

    def end_overdue(self) -> int:
        return self.do(leases.end_overdue)

    def expire_leases(self) -> int:
        """Expire leases, as a server that was there all the time."""
        self.do(lambda uow: uow.pulse.save(Pulse(uow.now())))
        return self.do(lambda uow: leases.expire_leases(uow, self.outside))

    def release_unacknowledged(self) -> int:
        return self.do(lambda uow: leases.release_unacknowledged(uow, self.outside))

    def reserved_on(self, worker_id: str) -> int:
        return len(self.do(lambda uow: uow.assignments.reserved_on(worker_id)))

    # --- workers -------------------------------------------------------------------------------

    def worker(self, name: str = "box", **given: Any) -> Worker:
        made = Worker(self, name)
        made.register(**given)
        return made


class Worker:
    """A worker's side of the protocol, one call at a time."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.id = f"wrk_{name}"
        self.name = name
        self.session = "s1"
        self.claims = 0

    def register(
        self,
        *,
        session: str = "s1",
        cpu: int = 4,
        gpus: list[Gpu] | None = None,
        containers: list[ContainerReport] | None = None,
        begun: list[Assignment] | None = None,
        made: list[Assignment] | None = None,
        **given: Any,
    ) -> Registered:
        self.session = session
        neutral: dict[str, Any] = {
            "machine_id": f"machine-{self.name}",
            "boot_id": "b1",
            "version": "0.1.0",
        }
        command = Register(
            worker_id=self.id,
            name=self.name,
            session_id=session,
            capacity=Capacity(cpu=cpu, ram_mb=8192, gpus=gpus or []),
            containers=containers or [],
            begun=[Held(run_id=each.run_id, fence=each.fence) for each in begun or []],
            made=[Held(run_id=each.run_id, fence=each.fence) for each in made or []],
            **{**neutral, **given},
        )
        world = self.world
        return world.do(lambda uow: workers.register_worker(uow, command, world.outside))

    def heartbeat(
        self,
        *held: Assignment,
        problem: str = "",
        gpus: list[Gpu] | None = None,
        leaving: bool = False,
        named: Sequence[tuple[str, int]] = (),
        images: list[str] | None = None,
    ) -> HeartbeatAnswer:
        command = Heartbeat(
            session_id=self.session,
            held=[
                *(Held(run_id=each.run_id, fence=each.fence) for each in held),
                *(Held(run_id=run_id, fence=fence) for run_id, fence in named),
            ],
            problem=problem,
            gpus=gpus or [],
            leaving=leaving,
            images=images,
        )
        world = self.world
        return world.do(lambda uow: workers.heartbeat(uow, self.id, command, world.outside))

    def claim(self, claim_id: str | None = None) -> list[Assignment]:
        self.claims += 1
        return self.ask(claim_id or f"claim-{self.claims}").assignments

    def ask(self, claim_id: str, **given: Any) -> Claimed:
        command = Claim(session_id=self.session, claim_id=claim_id, **given)
        world = self.world
        return world.do(lambda uow: workers.claim(uow, self.id, command, world.outside))

    def take(self) -> Assignment:
        """Dispatch, and claim the one assignment that comes."""
        self.world.dispatch()
        (assignment,) = self.claim()
        return assignment

    def report(self, assignment: Assignment, **given: Any) -> ReportAnswer:
        neutral: dict[str, Any] = {
            "run_id": assignment.run_id,
            "fence": assignment.fence,
            "token": assignment.token,
        }
        return self.report_items(ReportItem(**{**neutral, **given}))[0]

    def report_items(self, *items: ReportItem) -> list[ReportAnswer]:
        command = Report(session_id=self.session, items=list(items))
        world = self.world
        return world.do(lambda uow: reports.report(uow, self.id, command, world.outside)).items

    def started(self, assignment: Assignment) -> ReportAnswer:
        return self.report(assignment, events=[self.event(1, "STARTED", "")])

    def ends(
        self, assignment: Assignment, outcome: Any = "COMPLETED", **given: Any
    ) -> ReportAnswer:
        return self.report(assignment, result=self.result(outcome, **given))

    def release(self, assignment: Assignment) -> ReportAnswer:
        item = ReleaseItem(run_id=assignment.run_id, fence=assignment.fence, token=assignment.token)
        command = Release(session_id=self.session, items=[item])
        world = self.world
        return world.do(lambda uow: workers.release(uow, self.id, command, world.outside)).items[0]

    def event(self, seq: int, kind: Any, msg: str | int) -> ReportedEvent:
        return ReportedEvent(seq=seq, t_us=self.world.clock.now_us(), type=kind, msg=msg)

    def result(self, outcome: Any = "COMPLETED", **given: Any) -> Result:
        return Result(outcome=outcome, finished_at_us=self.world.clock.now_us(), **given)

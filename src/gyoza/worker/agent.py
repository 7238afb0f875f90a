"""The worker's life: register, then heartbeats, claims and runs side by side, at last the drain.

Heartbeats are a task of their own that waits for nothing else, so that no run, report or sick
engine can make the server believe this worker dead. A worker that ends without having been told to
drain leaves its containers as they are: the next process of it takes them over. What happens to a
single assignment is the business of `execution`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from msgspec.structs import replace

from gyoza.wire.messages import (
    Assignment,
    CancelOrder,
    Heartbeat,
    HeartbeatAnswer,
    Held,
    Register,
    Registered,
)
from gyoza.worker import leftovers
from gyoza.worker.adoption import Key, key_of, settle
from gyoza.worker.claims import Claims
from gyoza.worker.execution.execution import Execution
from gyoza.worker.execution.pipeline import Pipeline
from gyoza.worker.execution.resumed import Resumed
from gyoza.worker.execution.services import Services
from gyoza.worker.execution.workdir import CONTAINER_PREFIX
from gyoza.worker.gpu import OwnUse
from gyoza.worker.reporting import Reporter, microseconds
from gyoza.worker.runtime.interface import ManagedContainer, RuntimeFault
from gyoza.worker.server_port import (
    ServerAway,
    ServerFault,
    ServerRefused,
    SessionSuperseded,
    WorkerUnknown,
)
from gyoza.worker.waiting import Backoff, end, first_of, happens_within

HEALTH_EVERY_S: Final = 15.0
GPUS_EVERY_S: Final = 5.0
SWEEP_EVERY_S: Final = 60.0
LIMBO_ASK_EVERY_S: Final = 60.0
LAST_REPORTS_S: Final = 5.0
STOPPING_S: Final = 20.0
_JITTER: Final = 0.2
_DEFAULT_INTERVAL_S: Final = 5.0
# Longer than the server holds what nobody speaks of, at the pace at which attempts can break.
_BROKEN_KEPT: Final = 1000
_log = structlog.stdlib.get_logger(__name__)

Presentation = Callable[[], Register]
"""Makes the registration, without containers."""


class Agent:
    """One worker process.

    Args:
        services: The parts that attempts share.
        pipeline: The way of an attempt.
        present: Makes the registration, without the containers and images found.
        draw: Jitter of intervals, and claim ids.
    """

    def __init__(
        self,
        services: Services,
        pipeline: Pipeline,
        *,
        present: Presentation,
        draw: random.Random,
    ) -> None:
        self._services = services
        self._pipeline = pipeline
        self._present = present
        self._draw = draw
        identity = services.identity
        self._worker_id = identity.worker_id
        self._session_id = identity.session_id
        self._reporter = Reporter(
            services.server,
            identity.worker_id,
            identity.session_id,
            clock=services.clock,
            draw=draw,
            watcher=self,
            on_cursors=services.journal.reached,
        )
        self._running: dict[Key, tuple[Execution, asyncio.Task[None]]] = {}
        self._broken: deque[Key] = deque(maxlen=_BROKEN_KEPT)
        self._limbo: list[ManagedContainer] = []
        self._unwanted: list[ManagedContainer] = []
        self._interval_s = _DEFAULT_INTERVAL_S
        self._draining = asyncio.Event()
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._register_again = asyncio.Event()
        self._ended = asyncio.Event()
        self._claims = Claims(services, self, draining=self._draining, draw=draw)
        self._fatal: ServerFault | None = None

    @property
    def held_runs(self) -> list[str]:
        """The runs in this worker's hands right now."""
        return [run_id for run_id, _ in self._running]

    def drain(self) -> None:
        """Take nothing more, give back what has not begun, end when the rest is done."""
        if not self._draining.is_set():
            _log.info("draining", runs=len(self._running))
            self._draining.set()
            for execution, _ in self._running.values():
                execution.release()

    def stop_now(self) -> None:
        """Drain, and stop the containers that still run."""
        self.drain()
        self._stopping.set()
        for execution, _ in self._running.values():
            execution.shut_down()

    def hand_off(self) -> None:
        """End at once, and leave the containers to the next process of this worker."""
        _log.info("handing over", runs=len(self._running))
        self._leaving.set()

    def on_superseded(self, fault: SessionSuperseded) -> None:
        """See `reporting.Watcher`."""
        self._end_with(fault)

    def on_unknown(self) -> None:
        """See `reporting.Watcher` and `claims.Holder`."""
        self._register_again.set()

    async def run(self) -> None:
        """Live until drained, or told to hand over.

        Raises:
            ServerRefused: The server wants nothing of this worker; the message says why.
            RuntimeFault: The engine cannot say what is left of an earlier process.
        """
        loops: list[asyncio.Future[None]] = []
        try:
            if await self._begin():
                loops = [asyncio.ensure_future(self._guarded(each)) for each in self._loops()]
                await self._until_the_end()
        finally:
            await end(*loops)
            if self._leaving.is_set():
                await self._say_that_we_leave()
            await self._let_go()
        await self._reporter.flush(LAST_REPORTS_S)
        if self._fatal is not None:
            raise self._fatal

    def _loops(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._heartbeats(),
            self._reporter.deliver(),
            self._put_in_order_and_claim(),
            self._checks(),
            self._gpu_looks(),
            self._services.images.watch(),
            self._registrations(),
        ]

    async def _until_the_end(self) -> None:
        impatient = asyncio.ensure_future(self._out_of_patience())
        ends = (self._drained(), self._ended.wait(), self._leaving.wait())
        try:
            await first_of(*ends, asyncio.wait([impatient]))
            if impatient.done():
                await self._discard_all()
        finally:
            await end(impatient)

    async def _say_that_we_leave(self) -> None:
        """Ask the server to wait longer for our successor than it would for us."""
        last = self._heartbeat()
        last.leaving = True
        try:
            await self._services.server.heartbeat(self._worker_id, last)
        except ServerFault as fault:
            _log.info("the server does not know that we leave", why=str(fault))

    async def _let_go(self) -> None:
        """End what is still being carried out here, and touch none of its containers."""
        self._services.is_leaving = True
        await end(*(task for _, task in list(self._running.values())))

    async def _begin(self) -> bool:
        """Register and take over what is left; False if told to end first."""
        starting = asyncio.ensure_future(self._register_and_settle())
        try:
            await first_of(asyncio.wait([starting]), self._draining.wait(), self._leaving.wait())
            if starting.done():
                await starting
            return starting.done()
        finally:
            await end(starting)

    # --- taking over what an earlier process left -------------------------------------------------

    async def _register_and_settle(self) -> None:
        found = await leftovers.find_containers(self._services)
        known = await leftovers.known_to(self._services)
        register = await self._presented()
        register.containers = leftovers.inventory(found)
        for (run_id, fence), attempt in known.unfinished.items():
            register.begun.append(Held(run_id=run_id, fence=fence))
            if attempt.container is not None:
                register.made.append(Held(run_id=run_id, fence=fence))
        answer = await self._register(register)
        settlement = settle(found, answer.verdicts, self._running, known)
        self._limbo = settlement.limbo
        self._unwanted = settlement.removed
        for adoption in settlement.adopted:
            leftovers.take_over(self._services, adoption)
            self._hold(adoption.assignment, adoption.resumed)
        _log.info(
            "settled",
            adopted=len(settlement.adopted),
            removed=len(settlement.removed),
            limbo=len(settlement.limbo),
        )

    async def _put_in_order_and_claim(self) -> None:
        self._unwanted = await leftovers.remove(self._services, self._unwanted)
        kept = self._kept()
        folders = {execution.folder_name for execution, _ in self._running.values()}
        for each in (*self._limbo, *self._unwanted):
            folders.add(each.handle.name.removeprefix(CONTAINER_PREFIX))
        await leftovers.forget(self._services, kept, folders)
        await self._claims.run()

    def _kept(self) -> set[Key]:
        """Attempts whose containers are not for the sweeper."""
        return {*self._running, *map(key_of, self._limbo)}

    async def _registrations(self) -> None:
        """Register again when the server has forgotten us, or has not decided yet."""
        while True:
            if self._limbo:
                await happens_within(self._services.clock, LIMBO_ASK_EVERY_S, self._register_again)
            else:
                await self._register_again.wait()
            try:
                await self._register_and_settle()
            except RuntimeFault as fault:
                _log.warning("registering without an inventory", why=str(fault))
                await self._register(await self._presented())
            self._register_again.clear()
            self._unwanted = await leftovers.remove(self._services, self._unwanted)

    async def _presented(self) -> Register:
        register = self._present()
        register.capacity = replace(register.capacity, gpus=self._services.gpus.known)
        if self._services.images.names is None:
            await self._services.images.look()
        register.images = self._services.images.names
        return register

    async def _register(self, register: Register) -> Registered:
        backoff = Backoff(self._draw)
        while True:
            try:
                answer = await self._services.server.register(register)
            except ServerAway as fault:
                if not backoff.failures:
                    _log.warning("waiting for the server", why=str(fault))
                await self._services.clock.sleep(backoff.next_s())
            else:
                self._services.images.told(register.images)
                self._take_registration(answer)
                return answer

    def _take_registration(self, answer: Registered) -> None:
        self._services.cluster_id = answer.cluster_id
        self._services.lease_s = answer.lease_s
        self._interval_s = answer.heartbeat_interval_s
        self._take_time(answer.server_time_us)
        _log.info("registered", worker=self._worker_id, cluster=answer.cluster_id)

    def _take_time(self, server_time_us: int) -> None:
        self._services.server_ahead_us = server_time_us - microseconds(self._services.clock.now())

    async def _guarded(self, loop: Coroutine[Any, Any, None]) -> None:
        """No loop may end unnoticed: without heartbeats or claims this is no worker."""
        try:
            await loop
        except ServerFault as fault:
            self._end_with(fault)
        except Exception as error:  # noqa: BLE001  a worker without this loop must end, loudly
            _log.exception("the worker broke")
            self._end_with(ServerRefused(f"the worker broke: {type(error).__name__}: {error}"))

    def _end_with(self, fault: ServerFault) -> None:
        if self._fatal is None:
            self._fatal = fault
        self._ended.set()

    # --- heartbeats ------------------------------------------------------------------------------

    async def _heartbeats(self) -> None:
        backoff = Backoff(self._draw)
        while True:
            told = self._heartbeat()
            try:
                answer = await self._services.server.heartbeat(self._worker_id, told)
            except ServerAway as fault:
                if not backoff.failures:
                    _log.warning("heartbeats are not answered", why=str(fault))
                # Never rarer than usual: leases are running out.
                await self._services.clock.sleep(min(backoff.next_s(), self._interval_s))
            except WorkerUnknown:
                self._register_again.set()
                await self._services.clock.sleep(self._interval_s)
            else:
                backoff.reset()
                self._services.images.told(told.images)
                self._take_heartbeat(answer)
                jitter = self._draw.uniform(1 - _JITTER, 1 + _JITTER)
                await self._services.clock.sleep(self._interval_s * jitter)

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            session_id=self._session_id,
            held=[
                *(execution.held for execution, _ in self._running.values()),
                # What is unwanted, or of nobody yet, takes its room until it is gone.
                *(Held(run_id=run_id, fence=fence) for run_id, fence in self._others_keys()),
            ],
            gpus=self._services.gpus.known,
            problem=self._services.health.problem,
            images=self._services.images.news,
        )

    def _others_keys(self) -> list[Key]:
        others = (key_of(each) for each in (*self._unwanted, *self._limbo))
        return [key for key in dict.fromkeys(others) if key not in self._running]

    def _take_heartbeat(self, answer: HeartbeatAnswer) -> None:
        self._interval_s = answer.interval_s or self._interval_s
        self._take_time(answer.server_time_us)
        if answer.draining:
            self._claims.allowed.clear()
        else:
            self._claims.allowed.set()
        self.cancel(answer.cancel)
        for held in answer.stop:
            if (found := self._running.get((held.run_id, held.fence))) is not None:
                found[0].discard("superseded")

    # --- assignments -----------------------------------------------------------------------------

    def take(self, assignments: list[Assignment]) -> None:
        """See `claims.Holder`."""
        for assignment in assignments:
            self._hold(assignment)
        if self._draining.is_set():
            for execution, _ in self._running.values():
                execution.release()

    def _hold(self, assignment: Assignment, resumed: Resumed | None = None) -> None:
        key = (assignment.run_id, assignment.fence)
        if key not in self._running:
            execution = Execution(
                assignment, self._services, self._reporter, self._pipeline, resumed
            )
            task = asyncio.create_task(self._carry_out(key, execution))
            self._running[key] = (execution, task)
            self._idle.clear()

    def is_held(self, assignment: Assignment) -> bool:
        """See `claims.Holder`."""
        return (assignment.run_id, assignment.fence) in self._running

    def cancel(self, orders: list[CancelOrder]) -> None:
        """See `claims.Holder`; heartbeats bring orders, too."""
        for order in orders:
            if (found := self._running.get((order.run_id, order.fence))) is not None:
                found[0].cancel(order.reason, order.message)

    def stopping(self) -> list[Held]:
        """See `claims.Holder`."""
        return [execution.held for execution, _ in self._running.values() if execution.is_stopping]

    def holding(self) -> list[Held]:
        """See `claims.Holder`; what broke here is not to be given to us again and again."""
        broken = (Held(run_id=run_id, fence=fence) for run_id, fence in self._broken)
        return [*(execution.held for execution, _ in self._running.values()), *broken]

    async def _carry_out(self, key: tuple[str, int], execution: Execution) -> None:
        try:
            await execution.run()
        except Exception:  # noqa: BLE001  one broken attempt is not to take the worker along
            _log.exception("an execution broke", run=key[0])
            self._broken.append(key)
        finally:
            del self._running[key]
            if not self._running:
                self._idle.set()

    # --- the engine's health ---------------------------------------------------------------------

    async def _checks(self) -> None:
        health, clock = self._services.health, self._services.clock
        swept_s = clock.monotonic()
        while True:
            try:
                engine = await self._services.runtime.fingerprint()
            except RuntimeFault as fault:
                health.failed(str(fault))
            else:
                health.worked()
                self._services.journal.engine(engine.process)
                if clock.monotonic() - swept_s >= SWEEP_EVERY_S:
                    left = await leftovers.sweep(self._services, self._kept)
                    self._unwanted = self._unwanted if left is None else left
                    swept_s = clock.monotonic()
            await clock.sleep(HEALTH_EVERY_S if not health.problem else 5.0)

    async def _gpu_looks(self) -> None:
        while True:
            await self._services.gpus.look(self._own_use())
            await self._services.clock.sleep(GPUS_EVERY_S)

    def _own_use(self) -> OwnUse:
        granted: Counter[str] = Counter()
        containers = {each.handle.id for each in (*self._unwanted, *self._limbo)}
        for execution, _ in self._running.values():
            context = execution.context
            if context.handle is not None:
                containers.add(context.handle.id)
                granted[context.assignment.gpu_uuid or ""] += context.constraints.vram_mb or 0
        return OwnUse(frozenset(containers), granted)

    # --- the end ---------------------------------------------------------------------------------

    async def _drained(self) -> None:
        await self._draining.wait()
        await self._idle.wait()

    async def _out_of_patience(self) -> None:
        # A server that is away must not keep a worker alive that was told twice to end.
        await self._stopping.wait()
        await self._services.clock.sleep(STOPPING_S)

    async def _discard_all(self) -> None:
        """Leave nothing of what was stopped, though the server has not heard of it."""
        for execution, _ in list(self._running.values()):
            execution.discard("the worker ends")
        await asyncio.gather(
            *(task for _, task in list(self._running.values())), return_exceptions=True
        )

"""The part of the world that breaks things: a seeded list of faults, each healed after a while.

Faults overlap as they come, so that links and processes are restored in another order than they
were broken in. When the storm is over everything is healed; what happens then is the test.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Final

from gyoza.server.use_cases.workers import drain_worker
from gyoza.worker.runtime.interface import RuntimeFault
from tests.simulation.host import Host
from tests.simulation.network import Link
from tests.simulation.recording import Recorder
from tests.simulation.server import SimServer
from tests.simulation.virtual_loop import VirtualClock
from tests.simulation.workload import Clients

Fault = Callable[[], Awaitable[None]]
MOST_FAULTS: Final = 14


class Nemesis:
    """Breaks a world for a while.

    Args:
        server, hosts, clients, clock, recorder: What can be broken, and where that is noted.
        draw: What, when, for how long.
    """

    def __init__(
        self,
        server: SimServer,
        hosts: list[Host],
        clients: Clients,
        clock: VirtualClock,
        recorder: Recorder,
        draw: random.Random,
    ) -> None:
        self._server, self._hosts, self._clients = server, hosts, clients
        self._clock, self._recorder, self._draw = clock, recorder, draw
        self._faults: dict[str, tuple[int, Fault]] = {
            "kill worker": (6, self._kill_worker),
            "kill worker twice": (3, self._kill_worker_twice),
            "lose and kill worker": (3, self._lose_and_kill_worker),
            "freeze worker": (3, self._freeze_worker),
            "drain worker": (2, self._drain_worker),
            "drain by operator": (1, self._drain_by_operator),
            "kill server": (3, self._kill_server),
            "freeze server": (2, self._freeze_server),
            "partition": (3, self._partition),
            "cut requests": (1, self._cut_requests),
            "cut answers": (2, self._cut_answers),
            "lossy wire": (3, self._lossy_wire),
            "repeating wire": (2, self._repeating_wire),
            "commits unknown": (2, self._commits_unknown),
            "engine restart": (2, self._engine_restart),
            "engine hang": (2, self._engine_hang),
            "engine answers lost": (2, self._engine_answers_lost),
            "container killed by hand": (1, self._kill_container),
            "container removed by hand": (1, self._remove_container),
        }

    def plan(self, storm_s: float) -> list[tuple[float, str]]:
        """When what breaks."""
        names = list(self._faults)
        weights = [weight for weight, _ in self._faults.values()]
        count = self._draw.randint(2, MOST_FAULTS)
        chosen = self._draw.choices(names, weights, k=count)
        return sorted((self._draw.uniform(2.0, storm_s), name) for name in chosen)

    async def strike(self, name: str) -> None:
        """Break one thing, wait, heal it."""
        await self._faults[name][1]()

    def heal(self) -> None:
        """Everything that is broken is repaired; what is missing is started."""
        self._server.commit_loss = 0.0
        if self._server.process is None:
            self._server.start()
        elif self._server.process.is_frozen:
            self._server.process.thaw()
        for link in self._links():
            _repair(link)
        for host in self._hosts:
            host.engine.answer_loss = 0.0
            host.engine.recover()
            if host.process is not None and host.process.is_frozen:
                host.process.thaw()
            host.is_wanted = True
            host.start()

    def _links(self) -> list[Link]:
        return [self._clients.link, *(host.link for host in self._hosts)]

    @contextmanager
    def _broken(self, fault: str, target: str, **facts: str) -> Generator[None]:
        """Note a fault, and when it was healed."""
        record = self._recorder.note("fault", fault=fault, target=target, **facts)
        try:
            yield
        finally:
            record["until"] = self._clock.now_us()

    async def _for(self, shortest_s: float, longest_s: float) -> None:
        await self._clock.sleep(self._draw.uniform(shortest_s, longest_s))

    # --- workers ---------------------------------------------------------------------------------

    async def _kill_worker(self) -> None:
        host = self._draw.choice(self._hosts)
        with self._broken("kill worker", host.name):
            for _ in range(self._draw.choice((1, 1, 2, 3))):
                host.is_wanted = False
                host.kill()
                await self._clock.sleep(self._draw.choice((0.5, 3.0, 12.0, 45.0)))
                host.is_wanted = True
                host.start()
                # Now and then again before it has put in order what it found.
                await self._clock.sleep(self._draw.choice((0.02, 0.04, 0.08, 0.5, 3.0)))

    async def _kill_worker_twice(self) -> None:
        """Lost, back for a moment with an engine that removes nothing, gone, and back again.

        What it has been given in that moment may be of the very runs whose old containers stand.
        """
        host = self._draw.choice(self._hosts)
        lease_s = self._server.settings.lease_s
        with self._broken("kill worker", host.name), self._broken("engine hang", host.name):
            host.is_wanted = False
            host.kill()
            await self._for(lease_s, lease_s + 5.0)
            host.is_wanted = True
            seen = len(self._recorder.records)
            host.start()
            await self._until_registered(seen)
            host.engine.hang()
            await self._for(2.0, 10.0)
            host.kill()
            host.engine.recover()
            host.start()

    async def _lose_and_kill_worker(self) -> None:
        """Lost though alive, heard again, and killed while it still ends what it has lost.

        By then it may have been given the next attempt of the very run whose old container stands.
        """
        host = self._draw.choice(self._hosts)
        lease_s = self._server.settings.lease_s
        with self._broken("partition", host.name):
            host.link.cut_to = host.link.cut_from = True
            await self._for(lease_s, lease_s + 10.0)
            host.link.cut_to = host.link.cut_from = False
        await self._for(0.1, 4.0)
        with self._broken("kill worker", host.name):
            host.is_wanted = False
            host.kill()
            await self._for(0.1, 3.0)
            host.is_wanted = True
            host.start()

    async def _until_registered(self, seen: int) -> None:
        """Wait until some worker has registered since so many records, at most five seconds."""
        until_s = self._clock.monotonic() + 5.0
        while self._clock.monotonic() < until_s:
            if any(each.get("call") == "register" for each in self._recorder.records[seen:]):
                return
            await self._clock.sleep(0.001)

    async def _freeze_worker(self) -> None:
        host = self._draw.choice(self._hosts)
        process = host.process
        if process is None or process.is_frozen:
            return
        with self._broken("freeze worker", host.name):
            process.freeze()
            await self._for(3.0, 60.0)
            process.thaw()

    async def _drain_worker(self) -> None:
        host = self._draw.choice(self._hosts)
        with self._broken("drain worker", host.name):
            host.drain()

    async def _drain_by_operator(self) -> None:
        host = self._draw.choice(self._hosts)
        with self._broken("drain by operator", host.name):
            try:
                view = await self._server.write(
                    lambda uow: drain_worker(uow, host.name, self._server.outside)
                )
            except Exception:  # noqa: BLE001 - no server, or no such worker yet: no drain
                return
            await self._for(2.0, 40.0)
            await self._clients.resume(view.id)

    # --- the server ------------------------------------------------------------------------------

    async def _kill_server(self) -> None:
        with self._broken("kill server", "server"):
            self._server.kill()
            await self._clock.sleep(self._draw.choice((0.2, 2.0, 10.0, 40.0)))
            if self._server.process is None:
                self._server.start()

    async def _freeze_server(self) -> None:
        process = self._server.process
        if process is None or process.is_frozen:
            return
        with self._broken("freeze server", "server"):
            process.freeze()
            began_s = self._clock.monotonic()
            await self._for(2.0, 50.0)
            process.thaw()
            frozen_s = self._clock.monotonic() - began_s
            is_back = process is self._server.process
            if is_back and frozen_s > self._server.settings.amnesty_after_gap_s:
                self._recorder.note("server", what="back")

    async def _commits_unknown(self) -> None:
        self._server.commit_loss = self._draw.uniform(0.02, 0.2)
        await self._for(3.0, 20.0)
        self._server.commit_loss = 0.0

    # --- wires -----------------------------------------------------------------------------------

    async def _partition(self) -> None:
        link = self._draw.choice(self._links())
        with self._broken("partition", link.name):
            link.cut_to = link.cut_from = True
            await self._for(3.0, 70.0)
            link.cut_to = False
            await self._for(0.0, 5.0)
            link.cut_from = False

    async def _cut_requests(self) -> None:
        link = self._draw.choice(self._links())
        with self._broken("cut requests", link.name):
            link.cut_to = True
            await self._for(3.0, 40.0)
            link.cut_to = False

    async def _cut_answers(self) -> None:
        link = self._draw.choice(self._links())
        with self._broken("cut answers", link.name):
            link.cut_from = True
            await self._for(3.0, 40.0)
            link.cut_from = False

    async def _lossy_wire(self) -> None:
        link = self._draw.choice(self._links())
        with self._broken("lossy wire", link.name):
            link.loss, link.slowness = self._draw.uniform(0.1, 0.6), self._draw.choice((1, 20, 300))
            await self._for(5.0, 60.0)
            link.loss, link.slowness = 0.0, 1.0

    async def _repeating_wire(self) -> None:
        link = self._draw.choice(self._links())
        with self._broken("repeating wire", link.name):
            link.repeats = self._draw.uniform(0.2, 0.9)
            await self._for(5.0, 60.0)
            link.repeats = 0.0

    # --- engines ---------------------------------------------------------------------------------

    async def _engine_restart(self) -> None:
        host = self._draw.choice(self._hosts)
        keeps = self._draw.random() < 0.5
        with self._broken("engine restart", host.name, keeps="yes" if keeps else "no"):
            await host.engine.go_down(keeps_containers=keeps)
            await self._for(0.3, 20.0)
            host.engine.recover()

    async def _engine_hang(self) -> None:
        host = self._draw.choice(self._hosts)
        with self._broken("engine hang", host.name):
            host.engine.hang()
            await self._for(3.0, 80.0)
            host.engine.recover()

    async def _engine_answers_lost(self) -> None:
        host = self._draw.choice(self._hosts)
        host.engine.answer_loss = 0.4
        await self._for(5.0, 40.0)
        host.engine.answer_loss = 0.0

    async def _kill_container(self) -> None:
        for host in self._draw.sample(self._hosts, len(self._hosts)):
            for each in await host.engine.runtime.list_managed({}):
                if each.state.status == "running":
                    with self._broken(
                        "container killed by hand", host.name, container=each.handle.name
                    ):
                        await host.engine.end(each.handle, "hand")
                        return

    async def _remove_container(self) -> None:
        for host in self._draw.sample(self._hosts, len(self._hosts)):
            for each in await host.engine.runtime.list_managed({}):
                with self._broken(
                    "container removed by hand", host.name, container=each.handle.name
                ):
                    try:
                        await host.engine.remove(each.handle, "hand")
                    except RuntimeFault:
                        continue
                    return


def _repair(link: Link) -> None:
    link.cut_to = link.cut_from = False
    link.loss = link.repeats = 0.0
    link.slowness = 1.0

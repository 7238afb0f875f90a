"""Breaks a real cluster: at random, and at named points that proxies and the engine's events show.

Only signals and wires: nothing in the programs under test knows that it is being tested.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tests.chaos.cluster import NUMBERS, Cluster
from tests.simulation.recording import Recorder

STRANDS = 2
POINTS = (
    "claimed",  # the server has given an assignment, the worker does not know
    "reported",
    "result reported",  # the server has the result, the worker does not know
    "submitted",  # the run is there, its caller does not know
    "container: create",
    "container: start",
    "container: die",
)


class Nemesis:
    """One fault after the other, some of them waiting for their moment.

    Args:
        recorder: Where faults are written down.
        draw: What and when.
    """

    def __init__(self, recorder: Recorder, draw: random.Random) -> None:
        self._recorder, self._draw = recorder, draw
        self._armed: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._targets: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._deck: list[Callable[[Cluster], None]] = []
        self._others: tuple[tuple[int, Callable[[Cluster], None]], ...] = (
            (1, self._freeze_worker),
            (1, self._kill_server),
            (1, self._freeze_server),
            (1, self._partition),
            (1, self._cut_answers),
            (1, self._repeat_requests),
            (1, self._kill_engine),
            (1, self._stop_engine),
            (1, self._freeze_engine),
        )

    def saw(self, point: str) -> None:
        """A named point was passed; whoever waits for it strikes now."""
        name = point if point.startswith("container") else point.split(": ", 1)[-1]
        with self._lock:
            strike = self._armed.pop(name, None)
        if strike is not None:
            strike()

    def storm(self, cluster: Cluster, minutes: float) -> None:
        """Break things for so long, two at a time."""
        end_s = time.monotonic() + minutes * 60
        strands = [
            threading.Thread(target=self._strand, args=(cluster, end_s), daemon=True)
            for _ in range(STRANDS)
        ]
        for strand in strands:
            strand.start()
        for strand in strands:
            strand.join()
        self.heal(cluster)

    def _strand(self, cluster: Cluster, end_s: float) -> None:
        while time.monotonic() < end_s:
            try:
                self._next_fault()(cluster)
            except (OSError, AssertionError) as error:
                # What two faults at once make impossible: it is tried again by the next.
                self._recorder.note("nemesis", error=str(error))
            self._wait(0.2, 1.5)

    def _next_fault(self) -> Callable[[Cluster], None]:
        """From a shuffled deck, so that a short storm has every kind, too."""
        with self._lock:
            if not self._deck:
                kinds = ((2, self._kill_worker), (2, self._kill_at_a_point), *self._others)
                self._deck = [fault for number, fault in kinds for _ in range(number)]
                self._draw.shuffle(self._deck)
            return self._deck.pop()

    def heal(self, cluster: Cluster) -> None:
        """Everything is repaired and running."""
        with self._lock:
            self._armed.clear()
        for proxy in cluster.proxies.values():
            proxy.wire.cut_to = proxy.wire.cut_from = False
            proxy.wire.repeats = 0.0
        cluster.revive()
        cluster.until_ready()

    # --- faults ----------------------------------------------------------------------------------

    def _kill_worker(self, cluster: Cluster) -> None:
        name = self._draw.choice(cluster.names)
        with self._broken("kill worker", name):
            cluster.kill(name)
            time.sleep(self._draw.choice((0.0, 0.5, 3.0, 10.0)))
            cluster.start(name)
            self._wait(1.0, 3.0)

    def _kill_at_a_point(self, cluster: Cluster) -> None:
        """SIGKILL at the very moment; the process is started again afterwards."""
        point = self._draw.choice(POINTS)
        whom = self._draw.choice([*cluster.names, "server"])
        kind = "kill server" if whom == "server" else "kill worker"
        struck = threading.Event()

        def strike() -> None:
            cluster.signal(whom, signal.SIGKILL)
            struck.set()

        with self._lock:
            self._armed[point] = strike
        with self._broken(kind, whom, at=point):
            struck.wait(5.0)
            with self._lock:
                self._armed.pop(point, None)
            if struck.is_set():
                cluster.kill(whom)
                time.sleep(self._draw.choice((0.0, 1.0, 6.0)))
            cluster.start(whom)
            if whom == "server":
                cluster.until_ready()

    def _freeze_worker(self, cluster: Cluster) -> None:
        name = self._draw.choice(cluster.names)
        with self._broken("freeze worker", name):
            cluster.signal(name, signal.SIGSTOP)
            self._wait_within_or_beyond_the_lease()
            cluster.signal(name, signal.SIGCONT)

    def _kill_server(self, cluster: Cluster) -> None:
        with self._broken("kill server", "server"):
            cluster.kill("server")
            gone_s = self._draw.choice((0.0, 2.0, 7.0))
            time.sleep(gone_s)
            cluster.start("server")
            cluster.until_ready()
            self._note_return(gone_s)

    def _freeze_server(self, cluster: Cluster) -> None:
        with self._broken("freeze server", "server"):
            cluster.signal("server", signal.SIGSTOP)
            frozen_s = self._draw.choice((0.5, 2.0, 6.0))
            time.sleep(frozen_s)
            cluster.signal("server", signal.SIGCONT)
            self._note_return(frozen_s)

    def _partition(self, cluster: Cluster) -> None:
        name = self._draw.choice(cluster.names)
        wire = cluster.proxies[name].wire
        with self._broken("partition", name):
            wire.cut_to = wire.cut_from = True
            self._wait_within_or_beyond_the_lease()
            wire.cut_to = wire.cut_from = False

    def _cut_answers(self, cluster: Cluster) -> None:
        name = self._draw.choice([*cluster.names, "callers"])
        with self._broken("cut answers", name):
            cluster.proxies[name].wire.cut_from = True
            self._wait(1.0, 10.0)
            cluster.proxies[name].wire.cut_from = False

    def _repeat_requests(self, cluster: Cluster) -> None:
        name = self._draw.choice([*cluster.names, "callers"])
        with self._broken("repeated requests", name):
            cluster.proxies[name].wire.repeats = 0.6
            self._wait(2.0, 8.0)
            cluster.proxies[name].wire.repeats = 0.0

    def _kill_engine(self, cluster: Cluster) -> None:
        with self._broken("kill engine", "engine"):
            cluster.engine.kill()
            self._wait(0.0, 4.0)
            cluster.engine.start()

    def _stop_engine(self, cluster: Cluster) -> None:
        with self._broken("stop engine", "engine"):
            cluster.engine.stop()
            self._wait(0.0, 2.0)
            cluster.engine.start()

    def _freeze_engine(self, cluster: Cluster) -> None:
        with self._broken("freeze engine", "engine"):
            cluster.engine.freeze()
            self._wait(2.0, 12.0)
            cluster.engine.thaw()

    # --- notes -----------------------------------------------------------------------------------

    @contextmanager
    def _broken(self, fault: str, target: str, **facts: str) -> Generator[None]:
        # One thing at a time is done to one target; the other strand waits for its turn.
        with self._targets[target]:
            record = self._recorder.note("fault", fault=fault, target=target, **facts)
            try:
                yield
            finally:
                record["until"] = self._recorder.now_us()

    def _note_return(self, away_s: float) -> None:
        if away_s > NUMBERS["amnesty_after_gap_s"] + NUMBERS["pulse_interval_s"]:
            self._recorder.note("server", what="back")

    def _wait_within_or_beyond_the_lease(self) -> None:
        """Half of the silences end in time; after the others somebody comes back too late."""
        lease_s = NUMBERS["lease_s"]
        if self._draw.random() < 0.5:
            self._wait(0.5, lease_s - 1)
        else:
            self._wait(lease_s + 1, lease_s + 6)

    def _wait(self, shortest_s: float, longest_s: float) -> None:
        time.sleep(self._draw.uniform(shortest_s, longest_s))

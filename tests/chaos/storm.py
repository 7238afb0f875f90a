"""One chaos run from nothing to a verdict: start, use, break, heal, wait for quiet, judge.

The judge is the simulator's; what it reads is kept in a file so that it can be read again.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.callers import ENDS_LIKE_KILLED, Callers
from tests.chaos.cluster import Cluster, remove_folder, short_folder
from tests.chaos.nemesis import Nemesis
from tests.simulation.checker import Violation, check
from tests.simulation.counters import SOMETIMES, count
from tests.simulation.recording import Record, Recorder, as_text
from tests.simulation.server import dump_database

# So long nothing may have ended before what is left counts as stuck.
STUCK_AFTER_S = 90.0
LONG_MINUTES = 4
BY_SIGNAL = 128
ENGINE_FAULTS = frozenset({"kill engine", "stop engine", "freeze engine"})
# These faults only a simulator can place, or need a longer run than a short one.
ONLY_SIMULATED = frozenset({"commit unknown", "engine's answer lost"})


@dataclass(frozen=True, slots=True)
class Came:
    """What a chaos run came to."""

    runs: int
    states: Counter[str]
    faults: Counter[str]
    reached: Counter[str]
    violations: Sequence[Violation]
    kept: Path

    def summary(self) -> str:
        """For people."""
        lines = [
            f"runs {self.runs}: " + ", ".join(f"{n} {name}" for name, n in self.states.items()),
            "faults",
            *(f"  {number:5} {name}" for name, number in sorted(self.faults.items())),
            "sometimes",
            *(f"  {self.reached[name]:5} {name}" for name in SOMETIMES if self._counts(name)),
            *(f"{each.invariant}: {each.words}" for each in self.violations),
            f"violations {len(self.violations)}   records in {self.kept}",
        ]
        return "\n".join(lines)

    def missed(self) -> list[str]:
        """What a long run has to reach and this one has not."""
        return [name for name in SOMETIMES if self._counts(name) and not self.reached[name]]

    @staticmethod
    def _counts(name: str) -> bool:
        return name not in ONLY_SIMULATED


def storm(minutes: float, seed: int, workers: int = 2) -> Came:
    """Live through one chaos run and judge it."""
    draw = random.Random(seed)
    recorder = Recorder(lambda: time.time_ns() // 1000)
    nemesis = Nemesis(recorder, draw)
    folder = short_folder()
    try:
        with Cluster(folder, workers, recorder, draw, nemesis.saw) as cluster:
            callers = Callers(cluster.proxies["callers"].url, recorder, draw)
            callers.register_ops(cluster.image)
            callers.submit_for_ever(pause_s=1.0)
            nemesis.storm(cluster, minutes)
            callers.stop_submitting()
            recorder.note("phase", phase="healed")
            _until_quiet(cluster)
            callers.join(20.0)
            _until_quiet(cluster)
            cluster.stop_workers()
            cluster.note_what_is_left()
            recorder.note("dump", tables=dump_database(cluster.database))
    finally:
        remove_folder(folder)
    return _judged(_in_order(recorder.records), seed)


def _until_quiet(cluster: Cluster) -> None:
    ended, since_s = -1, time.monotonic()
    while time.monotonic() < since_s + STUCK_AFTER_S:
        cluster.revive()
        tables = dump_database(cluster.database)
        now_ended = sum(row["ended_us"] is not None for row in tables["op_runs"])
        if now_ended > ended:
            ended, since_s = now_ended, time.monotonic()
        api = cluster.engine.api()
        is_quiet = (
            all(row["ended_us"] is not None for row in tables["op_runs"])
            and all(row["freed_us"] is not None for row in tables["reservations"])
            and not api.managed()
        )
        api.close()
        if is_quiet:
            return
        time.sleep(1.0)


def _in_order(records: list[Record]) -> list[Record]:
    records = sorted(records, key=lambda record: record["t"])
    broken = [
        each for each in records if each["kind"] == "fault" and each["fault"] in ENGINE_FAULTS
    ]
    ops = {row["id"]: row["op_definition"] for row in records[-1]["tables"]["op_runs"]}
    for each in records:
        # An op may end with such a code by itself, and one of the storm's does.
        was_killed = (
            each.get("what") == "die"
            and each["exit_code"] > BY_SIGNAL
            and ops.get(each["run"]) != ENDS_LIKE_KILLED
        )
        if was_killed and any(_near(each, fault) for fault in broken):
            each["cause"] = "engine"
    return records


def _near(death: Record, fault: Record) -> bool:
    return fault["t"] - 1_000_000 <= death["t"] <= fault.get("until", fault["t"]) + 5_000_000


def _judged(records: list[Record], seed: int) -> Came:
    kept = Path(f"/tmp/gyoza-chaos-{seed}.jsonl")
    kept.write_text(as_text(records))
    rows: list[dict[str, Any]] = records[-1]["tables"]["op_runs"]
    return Came(
        runs=len(rows),
        states=Counter(row["state"] for row in rows),
        faults=Counter(_name(each) for each in records if each["kind"] == "fault"),
        reached=count(records),
        violations=check(records),
        kept=kept,
    )


def _name(fault: Record) -> str:
    at = fault.get("at")
    return f"{fault['fault']} at {at}" if at else fault["fault"]


def main(minutes: float, seed: int) -> int:
    """Print what it came to; returns the exit code.

    A storm of a few minutes must have reached what is rare; a short one cannot.
    """
    came = storm(minutes, seed)
    missed = came.missed() if minutes >= LONG_MINUTES else []
    sys.stdout.write(came.summary() + "\n")
    for name in missed:
        sys.stdout.write(f"NEVER REACHED: {name}\n")
    return 1 if came.violations or missed else 0

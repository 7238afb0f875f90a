"""Many worlds, judged: as many seeds as asked for, on all cores, with one table at the end.

A failing seed's records are kept in a file and the command that replays it is printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from tests.simulation.checker import Violation, check
from tests.simulation.counters import SOMETIMES, count
from tests.simulation.recording import as_text
from tests.simulation.world import RUNS, Plan, live

KEPT = Path("/tmp/gyoza-simulation")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed came to.

    Attributes:
        error: The world itself broke; "" when it lived to its end.
        reached: How often each rare thing happened.
    """

    seed: int
    runs: int
    violations: list[Violation]
    reached: Counter[str]
    faults: Counter[str]
    error: str = ""

    @property
    def is_green(self) -> bool:
        """Nothing was violated and nothing broke."""
        return not self.violations and not self.error


def judge(plan: Plan) -> Outcome:
    """Live one world, check it and count."""
    try:
        records = live(plan)
    except Exception as error:  # noqa: BLE001 - one broken world is not to hide the others
        text = f"{type(error).__name__}: {error}"
        return Outcome(plan.seed, 0, [], Counter(), Counter(), text)
    violations = check(records)
    if violations:
        KEPT.mkdir(exist_ok=True)
        (KEPT / f"seed-{plan.seed}.jsonl").write_text(as_text(records))
    runs = sum(len(each["tables"]["op_runs"]) for each in records if each["kind"] == "dump")
    faults = Counter(each["fault"] for each in records if each["kind"] == "fault")
    return Outcome(plan.seed, runs, violations, count(records), faults)


def judge_all(plans: Sequence[Plan], jobs: int) -> Generator[Outcome]:
    """Judge plans side by side, in the order in which they are done."""
    if jobs == 1:
        be_quiet()
        yield from map(judge, plans)
        return
    # Not forked: what the caller has done so far must not matter to a world.
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=be_quiet, maxtasksperchild=100) as pool:
        yield from pool.imap_unordered(judge, plans)


def main(arguments: list[str]) -> int:
    """Run from the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    seeds = [options.seed] if options.seed is not None else range(options.seeds)
    began_s = time.monotonic()
    outcomes: list[Outcome] = []
    # Worlds that are ended with their process at the first red one leave nothing outside.
    with TemporaryDirectory(dir="/dev/shm", prefix="gyoza-worlds-") as folder:
        plans = [Plan(seed + options.first, options.runs, within=Path(folder)) for seed in seeds]
        with closing(judge_all(plans, 1 if len(plans) == 1 else options.jobs)) as judged:
            for outcome in judged:
                outcomes.append(outcome)
                if not outcome.is_green:
                    _tell(outcome)
                if options.until_red and _shows(outcome, options.until_red):
                    break
    took_s = time.monotonic() - began_s
    missed = _missed(outcomes) if options.seed is None and not options.until_red else []
    _print_table(outcomes, took_s, missed)
    if options.json:
        Path(options.json).write_text(_as_json(outcomes, missed))
    return 0 if all(each.is_green for each in outcomes) and not missed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed's number")
    parser.add_argument("--seed", type=int, default=None, help="replay this one")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs submitted in each")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--until-red", nargs="*", help="stop at the first violation of these")
    parser.add_argument("--json", default="", help="also write the outcome to this file")
    return parser


def _shows(outcome: Outcome, invariants: Sequence[str]) -> bool:
    return any(each.invariant in invariants for each in outcome.violations)


def _missed(outcomes: Sequence[Outcome]) -> list[str]:
    reached = sum((each.reached for each in outcomes), Counter[str]())
    return [name for name in SOMETIMES if not reached[name]]


def _tell(outcome: Outcome) -> None:
    if outcome.error:
        print(f"seed {outcome.seed} BROKE: {outcome.error}", flush=True)  # noqa: T201
    for each in outcome.violations[:8]:
        print(f"seed {outcome.seed} {each.invariant}: {each.words}", flush=True)  # noqa: T201
    print(f"  again: just simulate --seed {outcome.seed}", flush=True)  # noqa: T201


def _print_table(outcomes: Sequence[Outcome], took_s: float, missed: Sequence[str]) -> None:
    faults = sum((each.faults for each in outcomes), Counter[str]())
    reached = sum((each.reached for each in outcomes), Counter[str]())
    red = [each.seed for each in outcomes if not each.is_green]
    lines = [
        f"seeds {len(outcomes)}   runs {sum(each.runs for each in outcomes)}   {took_s:.0f} s",
        "faults",
        *(f"  {number:6} {name}" for name, number in sorted(faults.items())),
        "sometimes",
        *(f"  {reached[name]:6} {name}" for name in SOMETIMES),
        *(f"NEVER REACHED: {name}" for name in missed),
        f"violations {sum(len(each.violations) for each in outcomes)}"
        + (f" in seeds {sorted(red)}" if red else ""),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _as_json(outcomes: Sequence[Outcome], missed: Sequence[str]) -> str:
    reached = sum((each.reached for each in outcomes), Counter[str]())
    red = [
        {
            "seed": each.seed,
            "error": each.error,
            "violations": [[one.invariant, one.words] for one in each.violations],
        }
        for each in outcomes
        if not each.is_green
    ]
    return json.dumps({"red": red, "missed": list(missed), "reached": dict(reached)})


def be_quiet() -> None:
    """Nobody reads what thousands of simulated processes log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

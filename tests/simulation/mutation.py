"""`python -m tests.simulation.mutation`: known bugs, each of which must turn the simulation red.

A mutant is a patch over `src`, applied to a copy in a temporary folder, so that nothing of it can
ever be built or shipped. One that no longer applies is an error: it would prove nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).with_name("mutants")
SOURCE = ROOT / "src"
SEEDS = 300


class DoesNotApply(Exception):
    """A patch fits no more: the code it breaks has changed, and it has to be written anew."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant.

    Attributes:
        caught_by: The invariant that it broke first; "" when it survived.
        seed: Where.
        words: How.
    """

    name: str
    caught_by: str
    seed: int | None
    words: str
    took_s: float


def names() -> list[str]:
    """All mutants, by name."""
    return sorted(path.stem for path in PATCHES.glob("*.patch"))


def hunt(name: str, seeds: int, jobs: int, original: Path = SOURCE) -> Verdict:
    """Simulate a mutant until it is caught, at most so many seeds.

    Raises:
        DoesNotApply: The patch fits no more.
    """
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gyoza-mutant-") as folder:
        source = mutated(name, Path(folder), original)
        report = Path(folder) / "report.json"
        run = subprocess.run(
            [
                *(sys.executable, "-m", "tests.simulation", "--until-red", *catchers(name)),
                *("--seeds", str(seeds), "--jobs", str(jobs), "--json", str(report)),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(source)},  # noqa: TID251 - of the child
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            raise RuntimeError(f"the simulation of {name} broke:\n{run.stderr[-2000:]}")
        red = json.loads(report.read_text())["red"]
    return _verdict(name, red, time.monotonic() - began_s)


def catchers(name: str) -> list[str]:
    """The invariants that may catch a mutant, from the first line of its patch.

    Red for another reason proves nothing about this mutant.

    Raises:
        ValueError: The patch does not begin with `Caught by: `.
    """
    first, _, _ = (PATCHES / f"{name}.patch").read_text().partition("\n")
    said, _, named = first.partition(": ")
    if said != "Caught by" or not named:
        raise ValueError(f"{name}.patch begins with {first!r}, expected 'Caught by: I6, I12'")
    return [each.strip() for each in named.split(",")]


def mutated(name: str, folder: Path, original: Path = SOURCE) -> Path:
    """A copy of the source with the mutant's patch applied; returns what goes on the path.

    Raises:
        DoesNotApply: The patch fits no more.
    """
    source = folder / "src"
    shutil.copytree(original, source, ignore=shutil.ignore_patterns("__pycache__"))
    patch = PATCHES / f"{name}.patch"
    # With its whole context: one line of it has been found in another function before.
    applied = subprocess.run(
        ["git", "apply", str(patch)],
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
    )
    if applied.returncode:
        raise DoesNotApply(f"{patch.name} does not apply any more: {applied.stderr.strip()}")
    return source


def main(arguments: list[str]) -> int:
    """Hunt all mutants and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="which; none means all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="most worlds per mutant")
    parser.add_argument("--source", type=Path, default=SOURCE, help="what is mutated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    verdicts: list[Verdict] = []
    for name in options.names or names():
        verdicts.append(hunt(name, options.seeds, options.jobs, options.source))
        sys.stdout.write(_row(verdicts[-1]) + "\n")
        sys.stdout.flush()
    return _conclude(verdicts)


def _conclude(verdicts: Sequence[Verdict]) -> int:
    survivors = [each.name for each in verdicts if not each.caught_by]
    caught = len(verdicts) - len(survivors)
    sys.stdout.write(f"{caught} of {len(verdicts)} mutants caught")
    sys.stdout.write(f"; SURVIVED: {', '.join(survivors)}\n" if survivors else "\n")
    return 1 if survivors else 0


def _row(verdict: Verdict) -> str:
    how = f"{verdict.caught_by:<6} seed {verdict.seed:<4}" if verdict.caught_by else "SURVIVED"
    return f"{verdict.name:<38} {how:<18} {verdict.took_s:5.0f} s  {verdict.words[:90]}"


def _verdict(name: str, red: list[dict[str, Any]], took_s: float) -> Verdict:
    expected = catchers(name)
    for each in red:
        for invariant, words in each["violations"]:
            if invariant in expected:
                return Verdict(name, invariant, each["seed"], words, took_s)
    return Verdict(name, "", None, "", took_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

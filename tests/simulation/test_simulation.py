"""Worlds full of faults, by seed: no promise is broken, rare things happen, a seed replays exactly.

`just simulate` lives more of them, `just mutants` hunts every known bug.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.mutation import ROOT, DoesNotApply, catchers, hunt, mutated, names

SEEDS = 60
REPLAY = """
import sys
from tests.simulation import runner, recording, world
runner.be_quiet()
sys.stdout.write(recording.as_text(world.live(world.Plan(int(sys.argv[1])))))
"""
QUICK = ["ignore-the-idempotency-key", "report-exit-137-as-oom"]


def lived(seed: int, hash_seed: str) -> str:
    """The journal of a world that a process of its own has lived."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REPLAY, str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},  # noqa: TID251 - of the child
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def simulated(report: Path, *arguments: str) -> dict[str, Any]:
    """What a run of many worlds came to."""
    subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--json", str(report), *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return json.loads(report.read_text())


def test_a_seed_replays_byte_by_byte_in_another_process() -> None:
    first, second = lived(105, "0"), lived(105, "1")

    assert first == second
    assert len(first.splitlines()) > 100


def test_another_seed_is_another_world() -> None:
    assert lived(105, "0") != lived(106, "0")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_promise_is_broken_and_everything_rare_happens(tmp_path: Path) -> None:
    came_to = simulated(tmp_path / "report.json", "--seeds", str(SEEDS))

    assert came_to["red"] == []
    assert came_to["missed"] == []


@pytest.mark.parametrize("name", names())
def test_every_mutant_still_applies(name: str, tmp_path: Path) -> None:
    assert mutated(name, tmp_path).is_dir()
    assert catchers(name)


def test_a_patch_that_fits_no_more_is_an_error(tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    (stranger / "gyoza").mkdir(parents=True)

    with pytest.raises(DoesNotApply, match="does not apply any more"):
        mutated(names()[0], tmp_path, stranger)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_a_known_bug_turns_the_simulation_red(name: str) -> None:
    assert hunt(name, seeds=20, jobs=2).caught_by in catchers(name)

"""How well the planner packs, against first-fit and against strict priority order.

Three seeded mixes of work (`bench/mixes/*.json`, each with its fleet) are replayed in virtual time
by the engine of `gyoza simulate`, with the planner exchanged; nothing depends on the machine or on
its clock. `used` is the scarcest resource from the beginning to the last end, `while queued` the
same over the time in which somebody waits. Waits of `large` runs are those of the op that needs
most of a machine: what packing small work first does to it. Ratios are the planner's figure to the
other's: of use while somebody waits (higher is better) and of mean waits (lower is better). The
last line is the worst ratio of mean waits, the planner's to the better of the other two on the same
mix.

    just bench packing
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from bench.naive_planners import first_fit, strict_order
from gyoza.cli.output import duration
from gyoza.cli.whatif.documents import read_load
from gyoza.server.scheduling.planner import plan
from gyoza.server.whatif.figures import Figures, figures_of
from gyoza.server.whatif.fleet import Fleet
from gyoza.server.whatif.load import Load
from gyoza.server.whatif.replay import Planner, replay, step_for

MIXES = Path(__file__).parent / "mixes"
PLANNERS: dict[str, Planner] = {
    "planner": plan,
    "first-fit": first_fit,
    "strict order": strict_order,
}


@dataclass(frozen=True)
class Score:
    """What one planner makes of one mix."""

    figures: Figures
    used: float
    used_while_queued: float
    large_mean_s: float
    large_most_s: float

    @property
    def mean_s(self) -> float:
        """The mean wait of all runs."""
        return self.figures.waits.mean_s


def main() -> None:
    """Replay every mix with every planner and print."""
    worst = 0.0
    for path in sorted(MIXES.glob("*.json")):
        case = read_load(path)
        assert case.load is not None
        assert case.fleet is not None
        scores = {name: score(case.load, case.fleet, planner) for name, planner in PLANNERS.items()}
        _print(f"{path.stem}: {len(case.load.runs):,} runs, large: {_large(case.load)}", scores)
        others = min(each.mean_s for name, each in scores.items() if name != "planner")
        worst = max(worst, scores["planner"].mean_s / others)
    print(f"worst ratio of mean waits, planner to the better of the others: {worst:.2f}")


def score(load: Load, fleet: Fleet, planner: Planner) -> Score:
    """Replay a mix with a planner."""
    step_s = step_for(load, fleet)
    outcome = replay(load, fleet, step_s=step_s, planner=planner, leaves_gaps=planner is not plan)
    figures = figures_of(outcome)
    scarcest = max(figures.used, key=lambda name: figures.used[name])
    queued = [
        used
        for used, depth in zip(figures.course.used[scarcest], figures.course.queued, strict=True)
        if depth >= 1
    ]
    large = figures.by["op"][_large(load)]
    mean = statistics.mean(queued) if queued else 0.0
    return Score(figures, figures.used[scarcest], mean, large.mean_s, large.most_s)


def _large(load: Load) -> str:
    return max((run.shape.ram_mb, run.op or "") for run in load.runs)[1]


def _print(title: str, scores: dict[str, Score]) -> None:
    print(title)
    print(
        f"{'':14}{'used':>6}{'while queued':>14}{'mean wait':>12}{'p99':>10}{'longest':>10}", end=""
    )
    print(f"{'large, mean':>13}{'longest':>10}{'makespan':>10}{'ratios: use':>13}{'wait':>6}")
    own = scores["planner"]
    for name, each in scores.items():
        waits = each.figures.waits
        times = [duration(s) for s in (waits.mean_s, waits.p99_s, waits.most_s)]
        large = [duration(s) for s in (each.large_mean_s, each.large_most_s)]
        use = own.used_while_queued / each.used_while_queued if each.used_while_queued else 1.0
        wait = own.mean_s / each.mean_s if each.mean_s else 1.0
        print(
            f"  {name:<12}{each.used:>6.0%}{each.used_while_queued:>14.0%}"
            f"{times[0]:>12}{times[1]:>10}{times[2]:>10}{large[0]:>13}{large[1]:>10}"
            f"{duration(each.figures.makespan_s):>10}{use:>13.2f}{wait:>6.2f}"
        )
    print()


if __name__ == "__main__":
    main()

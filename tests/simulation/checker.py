"""The judge: were the promises kept? Values in, violations out, from records alone.

Each invariant is a function over a `History`, named by the table in docs/architecture/proof.md.
Adding one means adding it to `INVARIANTS` and writing a journal that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.simulation import check_attempts, check_resources, check_runs
from tests.simulation.history import Index
from tests.simulation.recording import Record

Check = Callable[[Index], Iterator[str]]

INVARIANTS: dict[str, Check] = {
    "I1": check_runs.acknowledged_runs_are_there,
    "I2": check_runs.one_key_has_at_most_one_run,
    "I3": check_runs.history_explains_state,
    "I4": check_runs.terminal_states_stay,
    "I5": check_attempts.one_attempt_is_active,
    "I6": check_attempts.no_stale_write_is_accepted,
    "I7": check_attempts.one_container_per_attempt,
    "I8": check_resources.capacity_is_never_exceeded,
    "I9": check_resources.nothing_leaks,
    "I12": check_runs.completed_means_valid_output,
    "I13": check_runs.everything_ends,
    "I14": check_attempts.retries_are_accounted_for,
    "CHAIN": check_runs.nobody_starts_too_early,
    "LEASE": check_attempts.no_lease_ends_without_cause,
    "WORLD": check_runs.nothing_complains,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: which, and how."""

    invariant: str
    words: str


def check(records: list[Record]) -> list[Violation]:
    """Everything that is wrong with what was recorded; empty when every promise was kept."""
    index = Index(records)
    return [Violation(name, words) for name, judge in INVARIANTS.items() for words in judge(index)]

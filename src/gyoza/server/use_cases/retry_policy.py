"""Whether a failed attempt is followed by another, and when: one pure decision.

Two budgets: failures of the user's code use up `max_attempts`; failures of the machinery do not,
and have a bound of their own. Why: docs/decisions/0005-two-retry-budgets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from random import Random
from typing import Final, TypeAlias

from gyoza.models import Constraints, OpAttempt, OpRun
from gyoza.server.settings import Settings
from gyoza.server.storage.preemptions import PREEMPTED

MACHINERY: Final = frozenset(
    {
        "TRY_AGAIN",
        "PULL_TIMEOUT",
        "PULL_FAILED",
        "ENGINE_FAILURE",
        "GPU_FAILED",
        "WORKER_LOST",
        "INPUT_CORRUPT",
        "WORKER_ERROR",
    }
)
HOPELESS: Final = frozenset(
    {
        "OUTPUT_MISSING",
        "OUTPUT_INVALID",
        "BAD_INPUT",
        "IMAGE_NOT_FOUND",
        "IMAGE_DENIED",
        "START_FAILED",
        "QUEUE_TIMEOUT",
        "TOTAL_TIMEOUT",
    }
)
_CHARGED: Final = frozenset({"USER_ERROR", "OOM", "RUN_TIMEOUT", "DISK_LIMIT"}) | HOPELESS


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed, as far as a retry depends on it.

    Attributes:
        reason: One of the reasons of docs/architecture/contracts.md.
        charged: Whether it uses up one of `max_attempts`.
        retryable: False when the op itself said that another attempt cannot help.
        retry_after_ms: The op's own wish for the pause; None when it has none.
        exit_code: Of the container; None when there was none.
    """

    reason: str
    charged: bool = True
    retryable: bool = True
    retry_after_ms: int | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt follows.

    Attributes:
        due_at: Not before.
        reason: Why, in words.
        constraints: What it needs; None is the same as before.
    """

    due_at: datetime
    reason: str
    constraints: Constraints | None = None


@dataclass(frozen=True, slots=True)
class NoRetry:
    """The run ends here.

    Attributes:
        reason: Why, in words.
        poison: Its attempts kept losing their workers, so it may be what ends them.
    """

    reason: str
    poison: bool = False


Decision: TypeAlias = Retry | NoRetry


def is_charged(reason: str, said: bool) -> bool:  # noqa: FBT001 - the worker's own word
    """Whether a failure is the user's: by the table; for a reason it lacks, as the worker said."""
    if reason in MACHINERY:
        return False
    return said or reason in _CHARGED


def decide_retry(
    run: OpRun,
    failure: Failure,
    *,
    now: datetime,
    random: Random,
    settings: Settings,
    since: int = 1,
) -> Decision:
    """Decide what follows the failure of a run's current attempt, which is not closed yet.

    Args:
        run: The run with all its attempts.
        failure: How the current one failed.
        now: The moment of the failure.
        random: Gives the jitter.
        settings: The bounds and backoffs.
        since: Number of the first attempt that counts against the machinery's budget: whoever
            retries by hand has looked at what failed before.
    """
    if not failure.charged:
        earlier = [each for each in run.attempts[:-1] if each.attempt >= since]
        return _after_machinery(earlier, failure, now, settings)
    used = 1 + sum(attempt.charged for attempt in run.attempts[:-1])
    allowed = run.retry_policy.max_attempts
    final = _why_final(run, failure)
    if final is not None:
        return NoRetry(final)
    if used >= allowed:
        return NoRetry(f"attempt {used} of {allowed} failed")
    # Full jitter: many runs that failed together do not come back together.
    spread_s = _doubled(run.retry_policy.backoff_ms / 1000, used - 1, settings.max_backoff_s)
    pause_s = max(random.random() * spread_s, _wish_s(failure, settings))
    raised = _more_memory(run, failure)
    grown = "" if raised is None else f"; the next may use {_memory(raised)}"
    said = f"attempt {used} of {allowed} failed{grown}"
    return Retry(now + timedelta(seconds=pause_s), said, raised)


def _why_final(run: OpRun, failure: Failure) -> str | None:
    if failure.reason in HOPELESS:
        return f"{failure.reason} is not retried: another attempt would end the same way"
    if not failure.retryable:
        return "the op said that another attempt cannot help"
    if _is_final_code(run, failure):
        return f"exit code {failure.exit_code} is not retried: so says its retry policy"
    return None


def _is_final_code(run: OpRun, failure: Failure) -> bool:
    rules, code = run.retry_policy.exit_codes, failure.exit_code
    if rules is None or code is None or failure.reason != "USER_ERROR":
        return False
    return not rules.is_retried(code)


def _more_memory(run: OpRun, failure: Failure) -> Constraints | None:
    rule, had = run.retry_policy.on_oom, run.current_attempt.constraints
    if rule is None or failure.reason != "OOM":
        return None
    ram_mb = _grown(had.ram_mb, rule.factor, rule.max_ram_mb)
    vram_mb = _grown(had.vram_mb, rule.factor, rule.max_vram_mb)
    raised = replace(had, ram_mb=ram_mb, vram_mb=vram_mb)
    return None if raised == had else raised


def _grown(had: int | None, factor: float, most: int | None) -> int | None:
    if not had or most is None:
        return had
    return max(had, min(ceil(had * factor), most))


def _memory(constraints: Constraints) -> str:
    vram = f" and {constraints.vram_mb} MB of VRAM" if constraints.vram_mb else ""
    return f"{constraints.ram_mb} MB of RAM{vram}"


def _after_machinery(
    earlier: Sequence[OpAttempt], failure: Failure, now: datetime, settings: Settings
) -> Decision:
    # Who gave way to a more urgent run lost nothing to the machinery.
    lost = 1 + sum(not each.charged and each.reason != PREEMPTED for each in earlier)
    if lost >= settings.machinery_attempts:
        return _given_up(earlier, failure, lost)
    backoff_s = _doubled(settings.machinery_backoff_s, lost - 1, settings.max_backoff_s)
    pause_s = max(backoff_s, _wish_s(failure, settings))
    return Retry(
        now + timedelta(seconds=pause_s),
        f"{failure.reason} is not the op's fault; uncharged attempt {lost} of at most "
        f"{settings.machinery_attempts}",
    )


def _given_up(earlier: Sequence[OpAttempt], failure: Failure, lost: int) -> NoRetry:
    ends = [attempt.reason for attempt in earlier] + [failure.reason]
    losses = ends.count("WORKER_LOST")
    if failure.reason == "WORKER_LOST" and losses * 2 > lost:
        return NoRetry(
            f"{losses} of its attempts lost their worker, so it may be what ends them; it is not "
            "tried again by itself",
            poison=True,
        )
    return NoRetry(f"the machinery failed it {lost} times, last by {failure.reason}")


def _doubled(first_s: float, times: int, cap_s: float) -> float:
    # Bounded exponent: max_attempts has no upper bound and 2.0 ** 5000 overflows.
    return min(first_s * 2.0 ** min(times, 64), cap_s)


def _wish_s(failure: Failure, settings: Settings) -> float:
    return min((failure.retry_after_ms or 0) / 1000, settings.max_backoff_s)

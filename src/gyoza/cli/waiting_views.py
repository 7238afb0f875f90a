"""How the command says why runs wait: a word beside the state, and sentences below a list."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from gyoza.cli.documents import run_document
from gyoza.cli.output import Output, age, duration
from gyoza.models import OpRun

if TYPE_CHECKING:
    from gyoza.wire.messages import JsonObject

RULES: Final = {
    "paused": "paused",
    "op_limit": "op limit",
    "owner_limit": "quota",
    "key": "awaits key",
    "after": "awaits runs",
}
"""What holds runs back, as a word beside the state."""
_TIMED: Final = {"delayed": "due in", "backoff": "backoff,"}
_SHOWN_REASONS: Final = 6
_SHOWN_RUNS: Final = 2


class Shown(NamedTuple):
    """A run, and why it waits.

    Attributes:
        run: The run.
        waiting: `verdict`, `rule` and `summary` as the server tells them; {} when it does not wait.
    """

    run: OpRun
    waiting: dict[str, Any]

    @property
    def document(self) -> dict[str, Any]:
        """The run's JSON, with `waiting` while it waits."""
        document = run_document(self.run)
        return {**document, "waiting": self.waiting} if self.waiting else document

    @property
    def is_stuck(self) -> bool:
        """Whether no registered worker could ever take it."""
        return self.waiting.get("verdict") == "NEVER"

    @property
    def summary(self) -> str:
        """Why it waits, in a sentence; "" when it does not."""
        return str(self.waiting.get("summary", ""))


def shown(document: JsonObject) -> Shown:
    """Return what a run's JSON says."""
    waiting = document.get("waiting")
    known = cast("dict[str, Any]", waiting) if isinstance(waiting, dict) else {}
    return Shown(OpRun.from_dict(document), known)


def word(each: Shown, now: datetime) -> str | None:
    """Return what stands in brackets behind a state; None when nothing does."""
    run, rule = each.run, str(each.waiting.get("rule"))
    if each.is_stuck:
        return "never"
    if rule in _TIMED and run.due_at is not None:
        return f"{_TIMED[rule]} {age(now, run.due_at)}"
    return RULES.get(rule) or run.reason or run.phase


def why_it_waits(each: Shown, now: datetime) -> str:
    """Return why a run waits, in a sentence; a pause as what is left of it; "" if it does not."""
    run = each.run
    if not each.waiting or each.is_stuck or run.due_at is None or run.due_at <= now:
        return each.summary
    left = duration((run.due_at - now).total_seconds())
    at = f"{run.due_at.astimezone():%H:%M:%S %Z}"
    number = len(run.attempts)
    what = f"attempt {number} begins" if number > 1 else "it is due"
    return f"{what} in {left}, at {at}"


def reasons(found: Iterable[Shown], output: Output) -> None:
    """Write why the runs of a list wait, those that wait for the same together."""
    groups: dict[str, list[str]] = {}
    for each in found:
        if each.summary and each.waiting.get("rule") not in _TIMED:
            groups.setdefault(each.summary, []).append(each.run.id)
    if not groups:
        return
    output.data("\nWhy they wait")
    for summary, run_ids in list(groups.items())[:_SHOWN_REASONS]:
        more = len(run_ids) - _SHOWN_RUNS
        names = ", ".join(run_ids[:_SHOWN_RUNS]) + (f" and {more} more" if more > 0 else "")
        output.paragraph(f"{names}: {summary}")
    left = len(groups) - _SHOWN_REASONS
    if left > 0:
        output.data(f"  and {left} more reasons; gyoza explain RUN")

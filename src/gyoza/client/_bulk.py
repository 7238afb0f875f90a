"""Cancelling and retrying many runs: the portions of one request after the other, added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gyoza.client import _calls
from gyoza.client._effects import Flow
from gyoza.client._flows import perform
from gyoza.client.settings import Backoff
from gyoza.models import OpRunState
from gyoza.models.timestamps import format_time
from gyoza.wire.messages import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSelection:
    """Which runs to change; what is empty or None does not restrict.

    Attributes:
        state: In any of these states; () is all that can be cancelled, or all that FAILED.
        op: Of this op.
        owner: Submitted by this owner.
        worker: Whose current attempt this worker has.
        batch: Of this batch.
        tags: With all of these tags.
        created_before: Submitted before this moment.
        all: Whether a selection that restricts nothing is meant.
    """

    state: tuple[OpRunState | str, ...] = ()
    op: str | None = None
    owner: str | None = None
    worker: str | None = None
    batch: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    created_before: datetime | None = None
    all: bool = False


@dataclass(frozen=True, slots=True)
class BulkSummary:
    """What became of the runs that were selected.

    A portion whose answer was lost on the way is asked for again, and what it had changed by then
    is not counted.

    Attributes:
        matched: How many there were.
        done: How many are cancelled, or have a new attempt; 0 in a dry run.
        asked: How many are at work, and their workers were asked to stop them.
    """

    matched: int = 0
    done: int = 0
    asked: int = 0


def change_runs(
    verb: Literal["cancel", "retry"],
    wanted: RunSelection,
    backoff: Backoff,
    *,
    dry_run: bool,
    reason: str | None = None,
) -> Flow[BulkSummary]:
    """Go through all portions."""
    body = _body(wanted, dry_run=dry_run, reason=reason)
    matched = done = asked = 0
    token = ""
    while True:
        call = _calls.change_runs(verb, {**body, "page_token": token})
        answer = yield from perform(call, backoff)
        matched, done = matched + answer.matched, done + answer.done
        asked += answer.asked
        token = answer.next_page_token
        if not token:
            return BulkSummary(matched, done, asked)


def _body(wanted: RunSelection, *, dry_run: bool, reason: str | None) -> JsonObject:
    before = wanted.created_before
    body: JsonObject = {
        "state": [OpRunState(each).value for each in wanted.state],
        "op": wanted.op,
        "owner": wanted.owner,
        "worker": wanted.worker,
        "batch": wanted.batch,
        "tags": dict(wanted.tags),
        "created_before": None if before is None else format_time(before),
        "all": wanted.all,
        "dry_run": dry_run,
    }
    return body if reason is None else {**body, "reason": reason}

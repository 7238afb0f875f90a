"""Cancelling and retrying many runs by what they have in common, a portion a transaction.

Runs are met newest first by keyset pages, so what is submitted meanwhile is never met, and what a
portion changed is not met again under its token. A portion that is asked for twice does in effect
what it would do once: what waited no longer matches, and who was asked to stop is asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from gyoza.models import OpRun, OpRunState
from gyoza.models.timestamps import parse_time
from gyoza.server.errors import InvalidInput
from gyoza.server.storage.records import RunFilter
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import CANCELLED, stop_run
from gyoza.server.use_cases.paging import PageQuery
from gyoza.server.use_cases.runs import give_another_attempt, page_of_runs
from gyoza.wire.messages import BulkAnswer, CancelRuns, Fault, PickRuns, RetryRuns

PORTION: Final = 200
"""Runs changed in one transaction; keeps the writer free for live traffic."""


class _Verb(NamedTuple):
    name: str
    takes: tuple[OpRunState, ...]
    usual: tuple[OpRunState, ...]


_ALIVE: Final = (OpRunState.PENDING, OpRunState.ASSIGNED, OpRunState.RUNNING)
_CANCEL: Final = _Verb("cancel", _ALIVE, _ALIVE)
_RETRY: Final = _Verb("retry", (OpRunState.FAILED, OpRunState.CANCELLED), (OpRunState.FAILED,))


def cancel_runs(uow: UnitOfWork, command: CancelRuns) -> BulkAnswer:
    """Cancel the next portion of the runs that match: those at work are asked to stop.

    Raises:
        InvalidInput: Nothing restricts it, or something of it is unknown.
        InvalidRequest: The page token is not one of this list.
    """
    reason = command.reason or "cancelled on request, with others"
    return _each(uow, command, _CANCEL, lambda run: stop_run(uow, run, CANCELLED, reason))


def retry_runs(uow: UnitOfWork, command: RetryRuns) -> BulkAnswer:
    """Give the next portion of the runs that match a new attempt each, due now.

    Raises:
        InvalidInput: Nothing restricts it, or something of it is unknown.
        InvalidRequest: The page token is not one of this list.
    """
    return _each(uow, command, _RETRY, lambda run: _retry(uow, run))


def _retry(uow: UnitOfWork, run: OpRun) -> bool:
    give_another_attempt(uow, run)
    return True


def _each(
    uow: UnitOfWork, command: PickRuns, verb: _Verb, change: Callable[[OpRun], bool]
) -> BulkAnswer:
    page = PageQuery(PORTION, command.page_token, place="/page_token")
    runs, token = page_of_runs(uow, _wanted(command, verb), page)
    if command.dry_run:
        return BulkAnswer(matched=len(runs), next_page_token=token)
    done = sum(change(run) for run in runs)
    return BulkAnswer(matched=len(runs), done=done, asked=len(runs) - done, next_page_token=token)


def _wanted(command: PickRuns, verb: _Verb) -> RunFilter:
    faults = [*_state_faults(command, verb)]
    before = _created_before(command, faults)
    wanted = RunFilter(
        op=command.op,
        owner=command.owner,
        worker=command.worker,
        batch=command.batch,
        tags=tuple(command.tags.items()),
        created_before=before,
    )
    if wanted == RunFilter() and not command.state and not command.all and not faults:
        message = "restricts nothing; expected state, op, owner, worker, batch, tags or "
        message += f"created_before, or all: true to {verb.name} whatever can be"
        faults.append(Fault(pointer="", message=message))
    if faults:
        raise InvalidInput(faults)
    states = tuple(OpRunState(name) for name in command.state) or verb.usual
    return RunFilter(
        states, wanted.op, wanted.owner, wanted.worker, wanted.batch, wanted.tags, before
    )


def _state_faults(command: PickRuns, verb: _Verb) -> list[Fault]:
    takes = [state.value for state in verb.takes]
    return [
        Fault(
            pointer=f"/state/{index}",
            message=f"got {name[:80]!r}; {verb.name} takes {', '.join(takes)}",
        )
        for index, name in enumerate(command.state)
        if name not in takes
    ]


def _created_before(command: PickRuns, faults: list[Fault]) -> datetime | None:
    if command.created_before is None:
        return None
    try:
        return parse_time(command.created_before)
    except ValueError:
        got = command.created_before[:80]
        message = f"got {got!r}, expected a time such as 2031-05-04T09:08:07Z"
        faults.append(Fault(pointer="/created_before", message=message))
        return None

"""Submitting, reading and changing runs, as callers ask for it.

What makes a submit acceptable is in `submission`, how attempts end in `attempts`; what workers do
to runs is in `workers` and `reports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gyoza.models import EventType, OpRun, OpRunState
from gyoza.models.timestamps import format_time
from gyoza.server.errors import (
    InvalidInput,
    InvalidRequest,
    RunCompleted,
    RunEnded,
    RunHeld,
    RunNotEnded,
    ServerError,
)
from gyoza.server.storage.lanes import stand_in_line
from gyoza.server.storage.records import RunFilter, StoredEvent, StoredLog
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.attempts import CANCELLED, stop_run
from gyoza.server.use_cases.concurrency import let_in
from gyoza.server.use_cases.dependencies import Predecessors
from gyoza.server.use_cases.explanation import explanation_of
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.paging import PageQuery, cut_page, key_in
from gyoza.server.use_cases.quotas import QueueQuotas
from gyoza.server.use_cases.references import (
    checked_references,
    named_in,
    reference_faults,
)
from gyoza.server.use_cases.run_ids import whole_id
from gyoza.server.use_cases.submission import Catalogue, priority_faults, run_from
from gyoza.wire import messages
from gyoza.wire.messages import (
    MAX_BATCH,
    AddEvent,
    ArtifactRef,
    CancelRun,
    Event,
    Fault,
    JsonObject,
    LogChunk,
    PatchRun,
    SubmitRun,
)
from gyoza.wire.strict_json import StrictJsonError

_CALLERS_EVENTS: Final = (EventType.INFO, EventType.ERROR)
_HELD: Final = (OpRunState.ASSIGNED, OpRunState.RUNNING)


@dataclass(frozen=True, slots=True)
class SubmittedBatch:
    """What became of a batch.

    Attributes:
        batch_id: Names the batch; `GET /runs?batch=` lists its runs.
        outcomes: In the order sent: the id of the new run, or why there is none. The API turns the
            errors into the problems of `BatchAnswer`.
    """

    batch_id: str
    outcomes: list[str | ServerError]


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to list; an empty or None member does not restrict.

    Attributes:
        states: Names of states.
        op: Op id.
        owner: Who submitted.
        worker: Id of the worker of the current attempt.
        tags: All of these must match.
        batch: Id of a batch.
        page: Which page.
    """

    states: Sequence[str] = ()
    op: str | None = None
    owner: str | None = None
    worker: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    batch: str | None = None
    page: PageQuery = field(default_factory=PageQuery)


def submit_run(uow: UnitOfWork, command: SubmitRun, outside: Outside) -> OpRun:
    """Create a run from a definition or an image, and wake the dispatcher.

    Raises:
        InvalidInput: With every fault as a JSON pointer (`/inputs/...`); nothing is created.
            A run that it is to come after is unknown, or has failed already.
        OpNotFound: No op has the id in `op_definition`.
        VersionNotFound: The op has no such version.
        OpArchived: The op takes no new runs.
        QuotaExceeded: The owner has as many runs waiting as may be.
    """
    now = uow.now()
    catalogue = Catalogue(uow)
    run = run_from(command, catalogue, outside.settings, outside.ids("run", now), now)
    files = checked_references(uow, run.inputs, "/inputs")
    predecessors = Predecessors(uow)
    predecessors.hold(run, command)
    QueueQuotas(uow, outside.settings).take(run.owner)
    stand_in_line(run, now)
    uow.runs.add([run])
    predecessors.write((run.id,))
    let_in(uow, [run])
    uow.artifacts.refer((run.id, sha256) for sha256 in files)
    return run


def submit_batch(
    uow: UnitOfWork, documents: Sequence[JsonObject], outside: Outside
) -> SubmittedBatch:
    """Create many runs in one transaction; each document is accepted or refused on its own.

    Args:
        uow: The unit of work.
        documents: Up to 10,000 documents of the form of `SubmitRun`.
        outside: Settings and ids.

    Raises:
        InvalidRequest: There are none, or more than 10,000.
    """
    if not 0 < len(documents) <= MAX_BATCH:
        message = f"got {len(documents)} runs, expected 1 to {MAX_BATCH}"
        raise InvalidRequest([Fault(pointer="/runs", message=message)])
    now = uow.now()
    batch_id = outside.ids("bat", now)
    submits = _Submits(uow, outside)
    made = [submits.run_or_error(document) for document in documents]
    made, files = _with_files_checked(uow, made)
    made = QueueQuotas(uow, outside.settings).sifted(made)
    _stand_in_line(made, now)
    uow.runs.add([each for each in made if isinstance(each, OpRun)], batch_id=batch_id)
    taken = {each.id for each in made if isinstance(each, OpRun)}
    submits.predecessors.write(taken)
    uow.artifacts.refer(each for each in files if each[0] in taken)
    outcomes = [each.id if isinstance(each, OpRun) else each for each in made]
    return SubmittedBatch(batch_id, outcomes)


def get_run(uow: UnitOfWork, id_or_prefix: str, *, events: bool = False) -> OpRun:
    """Return a run by its id or an unambiguous prefix of at least 8 characters of it.

    Args:
        uow: The unit of work.
        id_or_prefix: `run_...`, whole or its beginning.
        events: Whether to read the newest 1,000 events too.

    Raises:
        RunNotFound: Nothing matches.
        AmbiguousId: More than one run matches.
    """
    run_id = whole_id(uow, id_or_prefix)
    return uow.runs.with_events(run_id) if events else uow.runs.get(run_id)


def list_runs(uow: UnitOfWork, query: RunQuery) -> tuple[list[OpRun], str]:
    """Return a page of runs, newest first, and the next page's token ("" at the end).

    Raises:
        InvalidRequest: A state or the page token is unknown.
    """
    states = {state.value for state in OpRunState}
    unknown = [name for name in query.states if name not in states]
    if unknown:
        message = f"{unknown[0]!r} is no state; expected one of {', '.join(sorted(states))}"
        raise InvalidRequest([Fault(pointer="state", message=message)])
    wanted = RunFilter(
        states=tuple(OpRunState(name) for name in query.states),
        op=query.op,
        owner=query.owner,
        worker=query.worker,
        batch=query.batch,
        tags=query.tags,
    )
    return page_of_runs(uow, wanted, query.page)


def page_of_runs(uow: UnitOfWork, wanted: RunFilter, page: PageQuery) -> tuple[list[OpRun], str]:
    """Return a page of the runs that match, newest first, and the next page's token.

    Raises:
        InvalidRequest: The page token is of another list.
    """
    try:
        found = uow.runs.page(wanted, key_in(page), page.limit + 1)
    except (ValueError, OverflowError):
        fault = Fault(pointer=page.place, message="is of another list; start without a token")
        raise InvalidRequest([fault]) from None
    return cut_page(found, page.limit, uow.runs.position)


def patch_run(uow: UnitOfWork, run_id: str, command: PatchRun) -> OpRun:
    """Change a run's priority or outputs, or cancel or retry it by its state.

    Raises:
        RunNotFound: No such run.
        InvalidInput: The priority is out of range, or nothing is asked.
        RunEnded: Priority of an ended run, or cancel of one that ended otherwise.
        RunHeld: Outputs while a worker holds the run.
        RunNotEnded: Retry of a run that is not over.
        RunCompleted: Retry of a completed run.
    """
    run = get_run(uow, run_id)
    if command.priority is None and command.outputs is None and command.state is None:
        message = "asks for nothing; expected priority, outputs or state"
        raise InvalidInput([Fault(pointer="", message=message)])
    if command.state is not None and (command.priority, command.outputs) != (None, None):
        message = "changes alone; send priority or outputs in a request of their own"
        raise InvalidInput([Fault(pointer="/state", message=message)])
    if command.state == CANCELLED:
        return cancel_run(uow, run.id, CancelRun())[0]
    if command.state is not None:
        return retry_run(uow, run.id)
    if command.priority is not None:
        _change_priority(run, command.priority)
    if command.outputs is not None:
        _refuse_held(run)
        files = checked_references(uow, command.outputs, "/outputs")
        uow.artifacts.refer((run.id, sha256) for sha256 in files)
        run.current_attempt.outputs = command.outputs
    run.updated_at = uow.now()
    uow.runs.save(run)
    uow.wake(f"run:{run.id}")
    return run


def cancel_run(uow: UnitOfWork, run_id: str, command: CancelRun) -> tuple[OpRun, bool]:
    """End a run at once if nobody works on it, else ask its worker to stop.

    Returns:
        The run, and whether it is over; if not, its worker was asked (phase STOPPING).

    Raises:
        RunNotFound: No such run.
        RunEnded: The run is COMPLETED or FAILED. A CANCELLED one is returned as it is.
    """
    run = get_run(uow, run_id)
    if run.state is OpRunState.CANCELLED:
        return run, True
    if run.is_terminal:
        raise RunEnded(run.id, run.state.value)
    return run, stop_run(uow, run, CANCELLED, command.reason or "cancelled on request")


def retry_run(uow: UnitOfWork, run_id: str) -> OpRun:
    """Give a FAILED or CANCELLED run a new attempt, due now.

    Raises:
        RunNotFound: No such run.
        RunNotEnded: The run is not over.
        RunCompleted: The run has completed.
    """
    run = get_run(uow, run_id)
    if run.state is OpRunState.COMPLETED:
        raise RunCompleted(run.id)
    if not run.is_terminal:
        raise RunNotEnded(run.id, run.state.value)
    give_another_attempt(uow, run)
    let_in(uow, [run])
    return run


def give_another_attempt(uow: UnitOfWork, run: OpRun) -> None:
    """Have an ended run wait for a new attempt, due now; it waits for no other runs."""
    run.retry(force=True, now=uow.now())
    stand_in_line(run, uow.now())
    uow.runs.save(run)


def add_event(uow: UnitOfWork, run_id: str, command: AddEvent) -> Event:
    """Append an event to a run that no worker holds.

    Raises:
        RunNotFound: No such run.
        RunHeld: A worker holds it.
        RunEnded: The run is over.
        InvalidInput: The type is not one that callers may add, or its state does not take it.
    """
    run = get_run(uow, run_id)
    _refuse_held(run)
    if run.is_terminal:
        raise RunEnded(run.id, run.state.value)
    if command.type not in _CALLERS_EVENTS:
        names = ", ".join(each.value for each in _CALLERS_EVENTS)
        message = f"got {command.type[:80]!r}, expected one of {names}; states change by cancel, "
        message += "retry and the worker's reports"
        raise InvalidInput([Fault(pointer="/type", message=message)])
    run.add_event(EventType(command.type), command.msg, command.payload, now=uow.now())
    uow.runs.save(run)
    number = uow.runs.last_event_number(run.id)
    return _event(uow.runs.events(run.id, number - 1, 1)[0])


def list_events(uow: UnitOfWork, run_id: str, *, after: int = 0, limit: int = 50) -> list[Event]:
    """Return a run's events in order, those numbered above `after`.

    Raises:
        RunNotFound: No such run.
    """
    run_id = whole_id(uow, run_id)
    found = uow.runs.events(run_id, after, limit)
    if not found:
        uow.runs.last_event_number(run_id)  # an unknown run is an error, an empty page is none
    return [_event(stored) for stored in found]


def list_logs(
    uow: UnitOfWork,
    run_id: str,
    *,
    attempt: int | None = None,
    after: int = 0,
    tail: int | None = None,
    limit: int = 50,
) -> list[LogChunk]:
    """Return log chunks of one attempt in order.

    Args:
        uow: The unit of work.
        run_id: The run's whole id.
        attempt: Attempt number; None is the current one.
        after: Only chunks numbered above.
        tail: The last so many chunks instead; None reads on from `after`.
        limit: Most chunks.

    Raises:
        RunNotFound: No such run.
    """
    run = get_run(uow, run_id)
    number = run.current_attempt.attempt if attempt is None else attempt
    if tail is not None:
        return [_chunk(stored) for stored in uow.logs.tail(run.id, number, tail)]
    return [_chunk(stored) for stored in uow.logs.page(run.id, number, after, limit)]


def list_artifacts(uow: UnitOfWork, run_id: str) -> list[ArtifactRef]:
    """Return the files that a run's attempts left.

    Raises:
        RunNotFound: No such run.
    """
    run = get_run(uow, run_id)
    return [found.ref for found in uow.artifacts.of_run(run.id)]


def explain_run(uow: UnitOfWork, run_id: str, outside: Outside) -> JsonObject:
    """Say why a run is where it is; see `explanation_of`.

    Raises:
        RunNotFound: No such run.
    """
    return explanation_of(uow, get_run(uow, run_id, events=True), outside)


class _Submits:
    """The submits of one batch: what they name is looked up once."""

    def __init__(self, uow: UnitOfWork, outside: Outside) -> None:
        self.predecessors = Predecessors(uow)
        self._catalogue = Catalogue(uow)
        self._now = uow.now()
        self._outside = outside

    def run_or_error(self, document: JsonObject) -> OpRun | ServerError:
        """Return the run that a document asks for, or why there is none."""
        run_id = self._outside.ids("run", self._now)
        try:
            command = messages.convert(document, SubmitRun)
            run = run_from(command, self._catalogue, self._outside.settings, run_id, self._now)
            self.predecessors.hold(run, command)
        except StrictJsonError as error:
            return InvalidRequest([Fault(pointer=error.pointer, message=str(error))])
        except ServerError as error:
            return error
        return run


def _with_files_checked(
    uow: UnitOfWork, made: Sequence[OpRun | ServerError]
) -> tuple[list[OpRun | ServerError], list[tuple[str, str]]]:
    """Refuse the runs that name a file that is not stored; also give who names which file."""
    runs = [each for each in made if isinstance(each, OpRun)]
    named = {run.id: found for run in runs if (found := list(named_in(run.inputs, "/inputs")))}
    sizes = uow.artifacts.sizes(each.sha256 for found in named.values() for each in found)
    faults = {run_id: reference_faults(found, sizes) for run_id, found in named.items()}
    checked = [
        InvalidInput(faults[each.id]) if isinstance(each, OpRun) and faults.get(each.id) else each
        for each in made
    ]
    files = [
        (run_id, each.sha256)
        for run_id, found in named.items()
        if not faults[run_id]
        for each in found
    ]
    return checked, files


def _stand_in_line(made: Sequence[OpRun | ServerError], now: datetime) -> None:
    for each in made:
        if isinstance(each, OpRun):
            stand_in_line(each, now)


def _change_priority(run: OpRun, priority: int) -> None:
    faults = priority_faults(priority)
    if faults:
        raise InvalidInput(faults)
    if run.is_terminal:
        raise RunEnded(run.id, run.state.value)
    run.priority = priority


def _refuse_held(run: OpRun) -> None:
    if run.state in _HELD:
        raise RunHeld(run.id, run.worker_id)


def _event(stored: StoredEvent) -> Event:
    entry = stored.entry
    return Event(
        number=stored.number,
        attempt=stored.attempt,
        t=format_time(entry.t),
        type=entry.type.value,
        msg=entry.msg,
        payload=entry.payload,
    )


def _chunk(stored: StoredLog) -> LogChunk:
    return LogChunk(
        number=stored.number,
        attempt=stored.attempt,
        t=format_time(stored.t),
        stream=stored.stream,
        text=stored.text,
    )

"""Submitting, reading and changing runs, as callers ask for it.

What makes a submit acceptable is in `submission`; what workers do to runs is in `workers` and
`reports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyoza.models import OpRun
from gyoza.server.errors import ServerError
from gyoza.server.storage.unit_of_work import UnitOfWork
from gyoza.server.use_cases.outside import Outside
from gyoza.server.use_cases.paging import PageQuery
from gyoza.wire.messages import (
    AddEvent,
    ArtifactRef,
    CancelRun,
    Event,
    JsonObject,
    LogChunk,
    PatchRun,
    SubmitRun,
)


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
    page: PageQuery = PageQuery()


def submit_run(uow: UnitOfWork, command: SubmitRun, outside: Outside) -> OpRun:
    """Create a run from a definition or an image, and wake the dispatcher.

    Raises:
        InvalidInput: With every fault as a JSON pointer (`/inputs/...`); nothing is created.
        OpNotFound: No op has the id in `op_definition`.
        VersionNotFound: The op has no such version.
        OpArchived: The op takes no new runs.
    """
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


def list_runs(uow: UnitOfWork, query: RunQuery) -> tuple[list[OpRun], str]:
    """Return a page of runs, newest first, and the next page's token ("" at the end).

    Raises:
        InvalidRequest: A state or the page token is unknown.
    """
    raise NotImplementedError


def patch_run(uow: UnitOfWork, run_id: str, command: PatchRun, outside: Outside) -> OpRun:
    """Change a run's priority or outputs, or cancel or retry it by its state.

    Raises:
        RunNotFound: No such run.
        InvalidInput: The priority is out of range, or nothing is asked.
        RunEnded: Priority of an ended run, or cancel of one that ended otherwise.
        RunHeld: Outputs while a worker holds the run.
        RunNotEnded: Retry of a run that is not over.
        RunCompleted: Retry of a completed run.
    """
    raise NotImplementedError


def cancel_run(uow: UnitOfWork, run_id: str, command: CancelRun) -> tuple[OpRun, bool]:
    """End a run at once if nobody works on it, else ask its worker to stop.

    Returns:
        The run, and whether it is over; if not, its worker was asked (phase STOPPING).

    Raises:
        RunNotFound: No such run.
        RunEnded: The run is COMPLETED or FAILED. A CANCELLED one is returned as it is.
    """
    raise NotImplementedError


def retry_run(uow: UnitOfWork, run_id: str) -> OpRun:
    """Give a FAILED or CANCELLED run a new attempt, due now.

    Raises:
        RunNotFound: No such run.
        RunNotEnded: The run is not over.
        RunCompleted: The run has completed.
    """
    raise NotImplementedError


def add_event(uow: UnitOfWork, run_id: str, command: AddEvent) -> Event:
    """Append an event to a run that no worker holds.

    Raises:
        RunNotFound: No such run.
        RunHeld: A worker holds it.
        RunEnded: The run is over.
        InvalidInput: The type is not one that callers may add, or its state does not take it.
    """
    raise NotImplementedError


def list_events(uow: UnitOfWork, run_id: str, *, after: int = 0, limit: int = 50) -> list[Event]:
    """Return a run's events in order, those numbered above `after`.

    Raises:
        RunNotFound: No such run.
    """
    raise NotImplementedError


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
    raise NotImplementedError


def list_artifacts(uow: UnitOfWork, run_id: str) -> list[ArtifactRef]:
    """Return the files that a run's attempts left.

    Raises:
        RunNotFound: No such run.
    """
    raise NotImplementedError


def explain_run(uow: UnitOfWork, run_id: str, outside: Outside) -> JsonObject:
    """Say why a run is where it is: for a waiting one, the plan's reasons per worker.

    Returns:
        `run_id`, `state`, `summary` (a sentence) and, for a waiting run, `verdict` (NOW, LATER or
        NEVER), `needs`, and `workers`: per worker `worker_id`, `name`, `fits`, `ever`, `reasons`.

    Raises:
        RunNotFound: No such run.
    """
    raise NotImplementedError

"""Putting a submission together from what callers pass: plain values and domain objects alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gyoza.models import OpRunState
from gyoza.models.timestamps import format_time
from gyoza.wire.messages import JsonObject, PatchRun, SubmitRun


class Document(Protocol):
    """A value object of the domain, such as Constraints."""

    def to_dict(self) -> dict[str, Any]:
        """Give its JSON form."""
        ...


def submission(
    *,
    op: str | None = None,
    version: str | None = None,
    image: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    priority: int,
    constraints: Document | JsonObject | None = None,
    retry_policy: Document | JsonObject | None = None,
    event_delivery: Document | JsonObject | None = None,
    execution: Document | JsonObject | None = None,
    timeouts: Document | JsonObject | None = None,
    tags: Mapping[str, str] | None = None,
    due_at: datetime | None = None,
    due_in_s: float | None = None,
    after: Sequence[str] = (),
    after_any: Sequence[str] = (),
) -> SubmitRun:
    """Return the body of a submit; what is None is left to the op or the server."""
    return SubmitRun(
        op_definition=op,
        op_version=version,
        image=image,
        inputs=dict(inputs or {}),
        priority=priority,
        constraints=_plain(constraints),
        retry_policy=_plain(retry_policy),
        event_delivery=_plain(event_delivery),
        execution=_plain(execution),
        timeouts=_plain(timeouts),
        tags=dict(tags or {}),
        due_at=None if due_at is None else format_time(due_at),
        due_in_s=due_in_s,
        after=list(after),
        after_any=list(after_any),
    )


def change(
    state: OpRunState | str | None, outputs: Mapping[str, Any] | None, priority: int | None
) -> PatchRun:
    """Return the body of a change.

    Raises:
        ValueError: A state that nobody may ask for.
    """
    wanted = None if state is None else OpRunState(state).value
    if wanted not in {None, "CANCELLED", "PENDING"}:
        raise ValueError(
            f"state {wanted} cannot be asked for; CANCELLED cancels the run, PENDING retries it"
        )
    kept = None if outputs is None else dict(outputs)
    return PatchRun(priority=priority, outputs=kept, state=wanted)  # pyright: ignore[reportArgumentType]


def run_filters(
    *,
    state: OpRunState | str | tuple[OpRunState | str, ...] | None,
    op: str | None,
    owner: str | None,
    worker: str | None,
    tags: Mapping[str, str] | None,
    batch: str | None,
) -> list[tuple[str, str]]:
    """Return the query of a list of runs."""
    states = () if state is None else state if isinstance(state, tuple) else (state,)
    named = [("op", op), ("owner", owner), ("worker", worker), ("batch", batch)]
    return [
        *(("state", OpRunState(each).value) for each in states),
        *((name, value) for name, value in named if value is not None),
        *(("tag", f"{key}={value}") for key, value in (tags or {}).items()),
    ]


def _plain(value: Document | JsonObject | None) -> JsonObject | None:
    return value if value is None or isinstance(value, dict) else value.to_dict()

"""The JSON of runs as the API answers it; definitions answer with their own `to_dict()`."""

from __future__ import annotations

from gyoza.models import OpRun
from gyoza.wire.messages import JsonObject


def run_document(
    run: OpRun, *, events: bool = False, waiting: JsonObject | None = None
) -> JsonObject:
    """Return a run's JSON document.

    It is `OpRun.to_dict()` with what people ask first beside it: `progress`, `outputs`,
    `execution_summary`, `attempt` (number) and `worker_id` of the current attempt.

    Args:
        run: The run with its attempts.
        events: Whether `attempts[].events` are shown; the run must have been read with them.
        waiting: Why it waits, as `use_cases.waiting` tells it; None says nothing about that.
    """
    document = run.to_dict()
    if not events:
        for attempt in document["attempts"]:
            del attempt["events"]
    document["progress"] = run.progress
    document["outputs"] = run.outputs
    document["execution_summary"] = run.execution_summary.to_dict()
    document["attempt"] = run.current_attempt.attempt
    document["worker_id"] = run.worker_id
    if waiting is not None:
        document["waiting"] = waiting
    return document

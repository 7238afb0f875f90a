"""Run documents as the API answers them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gyoza.models import EventType, OpRun

START = datetime(2031, 5, 4, 9, 8, 7, tzinfo=UTC)
RUN_ID = "run_01hx3k0000000000000000test"


def a_run(**more: Any) -> OpRun:
    """A pending run of an op."""
    facts = {"op_definition": "wordcount", "op_version": "1.0.0", **more}
    return OpRun.create("img:1", 5, {"text": "hello"}, id=RUN_ID, now=START, **facts)


def a_running_run() -> OpRun:
    run = a_run()
    run.assign("wrk_1", now=START)
    run.add_event(EventType.STARTED, "", now=START)
    return run


def a_completed_run(outputs: dict[str, Any] | None = None) -> OpRun:
    run = a_running_run()
    run.complete(outputs={"words": 2} if outputs is None else outputs, now=START)
    return run


def a_failed_run(reason: str = "USER_ERROR", message: str = "exit code 3") -> OpRun:
    run = a_running_run()
    run.add_event(EventType.FAILED, message, {"reason": reason}, now=START)
    return run


def a_cancelled_run() -> OpRun:
    run = a_run()
    run.add_event(EventType.CANCELLED, "by hand", {"reason": "CANCELLED"}, now=START)
    return run

"""Journals written by hand, for the checker's own tests: one good story, and ways to spoil it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests.simulation.recording import Record

RUN = "run_1"
WORKER = "wrk_1"
SECOND = 1_000_000
Spoil = Callable[[list[Record]], None]


def a_good_story() -> list[Record]:
    """One run: submitted, assigned, run, completed, read; the worker's host is clean."""
    return [
        {
            "t": 0,
            "kind": "setup",
            "lease_s": 20.0,
            "amnesty_s": 30.0,
            "machinery_attempts": 5,
            "heartbeat_interval_s": 3.0,
        },
        _client("submit", 1, "key-1", id=RUN, state="PENDING"),
        _container("create", 12),
        _container("start", 13),
        _net("heartbeat", 14, session="s", held=[[RUN, 1]], stop=[], cancel=[], draining=False),
        _container("die", 20, exit_code=0, oom=False, cause="self"),
        a_report(21),
        _container("remove", 22),
        _client("read", 30, RUN, id=RUN, state="COMPLETED", attempt=1, outputs=_output(1)),
        {
            "t": 40 * SECOND,
            "kind": "left",
            "host": "host",
            "folders": [],
            "unfinished": [],
            "containers": [],
        },
        {"t": 40 * SECOND, "kind": "dump", "tables": _tables()},
    ]


def spoiled(*spoils: Spoil) -> list[Record]:
    """The good story with something wrong in it."""
    story = copy.deepcopy(a_good_story())
    for spoil in spoils:
        spoil(story)
    return sorted(story, key=lambda record: record["t"])


def rows(story: list[Record], table: str) -> list[dict[str, Any]]:
    """The final rows of a table, to be changed in place."""
    return next(each for each in story if each["kind"] == "dump")["tables"][table]


def records(story: list[Record], kind: str, **facts: Any) -> list[Record]:
    """The records of a kind that have these facts, to be changed in place."""
    wanted = {"kind": kind, **facts}.items()
    return [each for each in story if wanted <= each.items()]


def a_report(at_s: float, **facts: Any) -> Record:
    """A worker's write that the server took."""
    written = {
        "run": RUN,
        "fence": 1,
        "digest": "d1",
        "outcome": "COMPLETED",
        "reason": None,
        "phase": None,
        "events": [],
        "status": "OK",
    }
    return _net("report", at_s, **{**written, **facts})


def an_event(number: int, at_s: float, kind: str, **facts: Any) -> dict[str, Any]:
    """One row of the timeline."""
    attempt, msg = facts.pop("attempt", 1), facts.pop("msg", "")
    moment = round(at_s * SECOND)
    return {
        "run_id": RUN,
        "number": number,
        "attempt": attempt,
        "t_us": moment,
        "recorded_us": moment,
        "type": kind,
        "msg": json.dumps(msg),
        "payload": json.dumps(facts),
    }


def an_attempt(number: int, state: str, **facts: Any) -> dict[str, Any]:
    """One row of an attempt."""
    row = {
        "run_id": RUN,
        "attempt": number,
        "state": state,
        "charged": 1,
        "reason": None,
        "outputs": "{}",
    }
    return {**row, **facts}


def a_reservation(fence: int, from_s: float, to_s: float | None, **facts: Any) -> dict[str, Any]:
    """One row of what a worker holds."""
    row = {
        "run_id": RUN,
        "fence": fence,
        "worker_id": WORKER,
        "cpu": 1,
        "ram_mb": 512,
        "vram_mb": 0,
        "gpu_uuid": None,
        "reserved_us": round(from_s * SECOND),
        "freed_us": None if to_s is None else round(to_s * SECOND),
    }
    return {**row, **facts}


def a_container(what: str, at_s: float, **facts: Any) -> Record:
    """Something that happened to the run's container."""
    return _container(what, at_s, **facts)


def a_read(at_s: float, state: str, **facts: Any) -> Record:
    """A caller who looked at the run."""
    seen = {"id": RUN, "state": state, "attempt": 1, "outputs": {}}
    return _client("read", at_s, RUN, **{**seen, **facts})


def _output(attempt: int) -> dict[str, Any]:
    return {"run": RUN, "attempt": attempt}


def _client(op: str, at_s: float, about: str, **facts: Any) -> Record:
    moment = round(at_s * SECOND)
    return {
        "t": moment,
        "sent": moment,
        "kind": "client",
        "op": op,
        "about": about,
        "outcome": "ok",
        **facts,
    }


def _net(call: str, at_s: float, **facts: Any) -> Record:
    return {"t": round(at_s * SECOND), "kind": "net", "call": call, "worker": WORKER, **facts}


def _container(what: str, at_s: float, **facts: Any) -> Record:
    named = {"name": "c-1", "run": RUN, "attempt": 1, "fence": 1, "worker": WORKER}
    moment = round(at_s * SECOND)
    return {"t": moment, "kind": "container", "what": what, "host": "host", **named, **facts}


def _tables() -> dict[str, list[dict[str, Any]]]:
    run = {
        "id": RUN,
        "state": "COMPLETED",
        "phase": None,
        "reason": None,
        "attempt": 1,
        "last_event": 3,
        "tags": '{"key": "key-1"}',
        "retry_policy": '{"max_attempts": 1}',
    }
    worker = {"id": WORKER, "name": "host", "cpu": 2, "ram_mb": 1024, "gpus": "[]"}
    return {
        "op_runs": [run],
        "op_attempts": [an_attempt(1, "COMPLETED", outputs=json.dumps(_output(1)))],
        "events": [
            an_event(1, 10, "ASSIGNED", worker_id=WORKER),
            an_event(2, 14, "STARTED"),
            an_event(3, 21, "COMPLETED"),
        ],
        "reservations": [a_reservation(1, 10, 21)],
        "workers": [worker],
        "idempotency": [],
    }

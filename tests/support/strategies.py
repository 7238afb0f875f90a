"""Hypothesis strategies for the domain: everything that a caller or a worker could bring about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from gyoza.models import (
    Constraints,
    EventDelivery,
    EventType,
    Execution,
    OpDefinition,
    OpRun,
    OpRunState,
    RetryPolicy,
    Timeouts,
)

# What strict JSON accepts: no NUL, no lone surrogates.
texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20
)
integers = st.integers(-(2**63), 2**63 - 1)
naturals = st.integers(0, 2**63 - 1)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=4)
tags = st.dictionaries(texts, texts, max_size=3)
seconds = st.none() | st.integers(0, 10**7) | st.floats(0, 1e7)
moments = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)

constraints = st.builds(
    Constraints,
    cpu=st.none() | naturals,
    ram_mb=st.none() | naturals,
    vram_mb=st.none() | naturals,
)
policies = st.builds(RetryPolicy, st.integers(1, 10**6), naturals)
deliveries = st.builds(EventDelivery, texts, json_objects)
timeouts = st.builds(Timeouts, seconds, seconds, seconds, seconds, seconds)
executions = st.builds(
    Execution,
    command=st.none() | st.lists(texts, max_size=3).map(tuple),
    timeouts=timeouts,
    grace_s=st.integers(0, 120) | st.floats(0, 120),
    network=st.booleans(),
    disk_mb=st.integers(1, 2**40),
    selectors=tags,
    concurrency=st.none() | json_objects,
    warm=st.none() | json_objects,
)
definitions = st.builds(
    OpDefinition.create,
    id=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
    version=texts,
    image=texts,
    input_specs=st.dictionaries(
        texts,
        st.fixed_dictionaries({"type": texts}, optional={"default": json_values}),
        max_size=3,
    ),
    output_specs=st.dictionaries(texts, st.fixed_dictionaries({"type": texts}), max_size=3),
    constraints=constraints,
    retry_policy=policies,
    event_delivery=deliveries,
    image_digest=st.none() | texts,
    execution=executions,
    now=moments,
)
new_runs = st.builds(
    OpRun.create,
    texts,
    integers,
    json_objects,
    constraints,
    policies,
    deliveries,
    st.none() | texts,
    now=moments,
    op_version=st.none() | texts,
    image_digest=st.none() | texts,
    owner=st.none() | texts,
    tags=tags,
    due_at=st.none() | moments,
    execution=executions,
)


@st.composite
def steps(draw: st.DrawFn, run: OpRun) -> OpRun:
    """Bring a run one step on, by a call that its state takes."""
    now = run.updated_at + timedelta(microseconds=draw(st.integers(0, 10**9)))
    match run.state:
        case OpRunState.PENDING:
            run.assign(draw(texts), now=now, gpu_uuid=draw(st.none() | texts))
        case OpRunState.ASSIGNED if draw(st.booleans()):
            run.release(now=now, msg=draw(texts))
        case OpRunState.ASSIGNED:
            run.phase = draw(st.none() | texts)
            run.add_event(EventType.STARTED, draw(texts), draw(json_objects), now=now)
        case OpRunState.RUNNING:
            _use_worker_calls(draw, run, now)
        case _:
            run.retry(force=True, now=now, due_at=draw(st.none() | moments))
    return run


def _use_worker_calls(draw: st.DrawFn, run: OpRun, now: datetime) -> None:
    match draw(st.sampled_from(["progress", "info", "complete", "fail", "cancel", "retry"])):
        case "progress":
            run.add_event(EventType.PROGRESS, draw(st.integers(0, 100)), now=now)
        case "info":
            run.add_event(EventType.INFO, draw(texts | integers), draw(json_objects), now=now)
        case "complete":
            run.complete(outputs=draw(json_objects), exit_code=0, now=now)
            run.set_execution_summary(duration_ms=draw(naturals), gpu_id=draw(integers))
        case "fail":
            run.fail(
                draw(texts),
                reason=draw(texts),
                charged=draw(st.booleans()),
                exit_code=draw(st.none() | integers),
                now=now,
            )
        case "cancel":
            run.cancel(draw(texts), now=now)
        case _:
            run.retry(force=True, now=now)

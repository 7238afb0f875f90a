"""Hypothesis strategies: any valid value of each class of the domain model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from gyoza.models import (
    Constraints,
    EventDelivery,
    EventEntry,
    EventType,
    Execution,
    ExecutionSummary,
    ExitCodes,
    InputSpec,
    InputSpecs,
    OnOom,
    OpAttempt,
    OpDefinition,
    OpRun,
    OpRunState,
    OutputSpec,
    OutputSpecs,
    RetryPolicy,
    Timeouts,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maybe_text = st.none() | texts
counts = st.integers(0, 2**40)
maybe_count = st.none() | counts
zones = st.sampled_from(
    [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=9))]
)
instants = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=zones)  # noqa: DTZ001
maybe_instant = st.none() | instants
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)
labels = st.dictionaries(texts, texts, max_size=3)
seconds = st.none() | st.integers(0, 10**6) | st.floats(0, 1e6)

constraints = st.builds(Constraints, maybe_count, maybe_count, maybe_count)
on_ooms = st.builds(
    OnOom, st.floats(1.1, 10), st.integers(1, 10**6), st.none() | st.integers(1, 10**6)
)
exit_codes = st.builds(
    ExitCodes, st.none() | st.lists(st.integers(1, 99)), st.lists(st.integers(100, 255))
)
retry_policies = st.builds(
    RetryPolicy, st.integers(1, 100), counts, st.none() | on_ooms, st.none() | exit_codes
)
event_deliveries = st.builds(EventDelivery, texts, objects)
event_entries = st.builds(
    EventEntry, instants, st.sampled_from(EventType), texts | st.integers(0, 100), objects
)
summaries = st.builds(ExecutionSummary, maybe_count, maybe_text, maybe_text, maybe_count)
timeouts = st.builds(Timeouts, seconds, seconds, seconds, seconds, seconds)
executions = st.builds(
    Execution,
    command=st.none() | st.lists(texts, max_size=3).map(tuple),
    timeouts=timeouts,
    grace_s=st.integers(0, 120) | st.floats(0, 120),
    network=st.booleans(),
    disk_mb=st.integers(1, 10**6),
    selectors=labels,
    concurrency=st.none() | objects,
    warm=st.none() | objects,
)
input_spec = st.builds(InputSpec, texts, st.booleans(), json_values, st.none() | objects, texts)
input_specs = st.builds(InputSpecs, st.dictionaries(texts, input_spec, max_size=3))
output_spec = st.builds(OutputSpec, texts, st.none() | objects, texts)
output_specs = st.builds(OutputSpecs, st.dictionaries(texts, output_spec, max_size=3))
definitions = st.builds(
    OpDefinition,
    id=texts,
    version=texts,
    image=texts,
    input_specs=input_specs,
    output_specs=output_specs,
    constraints=constraints,
    retry_policy=retry_policies,
    event_delivery=event_deliveries,
    created_at=instants,
    updated_at=instants,
    image_digest=maybe_text,
    execution=executions,
)
attempts = st.builds(
    OpAttempt,
    id=texts,
    op_run_id=texts,
    attempt=st.integers(1, 9),
    state=st.sampled_from(OpRunState),
    progress=st.integers(0, 100),
    events=st.lists(event_entries, max_size=2),
    inputs=objects,
    outputs=objects,
    execution_summary=summaries,
    constraints=constraints,
    started_at=maybe_instant,
    finished_at=maybe_instant,
    charged=st.booleans(),
    fence=counts,
    reason=maybe_text,
    exit_code=st.none() | st.integers(-255, 255),
    gpu_uuid=maybe_text,
    image_digest=maybe_text,
)


@st.composite
def runs(draw: st.DrawFn) -> OpRun:
    """Any run with up to two attempts, whether or not a real life could lead there."""
    past = draw(st.lists(attempts, max_size=2))
    return OpRun(
        id=draw(texts),
        state=draw(st.sampled_from(OpRunState)),
        priority=draw(counts),
        image=draw(texts),
        inputs=draw(objects),
        constraints=draw(constraints),
        retry_policy=draw(retry_policies),
        event_delivery=draw(event_deliveries),
        op_definition=draw(maybe_text),
        created_at=draw(instants),
        updated_at=draw(instants),
        _attempts=past,
        _current_attempt_index=len(past) - 1,
        op_version=draw(maybe_text),
        image_digest=draw(maybe_text),
        owner=draw(maybe_text),
        tags=draw(labels),
        due_at=draw(maybe_instant),
        execution=draw(executions),
        fence=draw(counts),
        reason=draw(maybe_text),
        phase=draw(maybe_text),
    )

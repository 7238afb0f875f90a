"""Messages: what is refused, where the refusal points, and that neighbours in version can talk."""

from __future__ import annotations

import msgspec
import pytest

from gyoza.wire import messages
from gyoza.wire.strict_json import StrictJsonError

REQUESTS = list(messages.Request.__subclasses__())
MESSAGES = list(messages.Message.__subclasses__())


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_a_request_with_an_unknown_field_is_refused_by_name(kind: type[msgspec.Struct]) -> None:
    with pytest.raises(StrictJsonError, match=r"unknown field `no_such_field`|required field"):
        messages.decode(b'{"no_such_field": 1}', kind)


def test_a_misspelt_field_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(StrictJsonError, match="did you mean `priority`"):
        messages.decode(b'{"priorty": 1}', messages.SubmitRun)


def test_the_first_word_of_a_field_is_answered_with_the_whole() -> None:
    with pytest.raises(StrictJsonError, match="did you mean `op_definition`"):
        messages.decode(b'{"op": "wordcount"}', messages.SubmitRun)


def test_a_worker_message_from_a_newer_version_is_understood() -> None:
    heartbeat = messages.decode(b'{"session_id": "s", "mood": "good"}', messages.Heartbeat)

    assert heartbeat == messages.Heartbeat(session_id="s")


@pytest.mark.parametrize(
    ("body", "kind", "pointer"),
    [
        (b'{"priority": "high"}', messages.SubmitRun, "/priority"),
        (b'{"tags": {"a": 1}}', messages.SubmitRun, "/tags"),
        (b'{"session_id": "s", "held": [{"run_id": 1}]}', messages.Heartbeat, "/held/0/run_id"),
        (b"[]", messages.SubmitRun, ""),
        (b"null", messages.SubmitRun, ""),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_place(
    body: bytes, kind: type[msgspec.Struct], pointer: str
) -> None:
    with pytest.raises(StrictJsonError) as refusal:
        messages.decode(body, kind)

    assert refusal.value.pointer == pointer


def test_a_boolean_is_not_a_priority() -> None:
    with pytest.raises(StrictJsonError, match="Expected `int`, got `bool`"):
        messages.decode(b'{"priority": true}', messages.SubmitRun)


def test_a_whole_report_survives_the_wire() -> None:
    report = messages.Report(
        session_id="s",
        items=[
            messages.ReportItem(
                run_id="run_1",
                fence=3,
                token="t",
                phase="RUNNING",
                events=[messages.ReportedEvent(seq=1, t_us=5, type="PROGRESS", msg=40)],
                logs=[messages.ReportedLog(seq=1, t_us=5, stream="stdout", text="é\n")],
                result=messages.Result(
                    outcome="COMPLETED", finished_at_us=9, outputs={"a": [1, 2.5, None]}
                ),
            )
        ],
    )

    assert messages.decode(messages.encode(report), messages.Report) == report


def test_every_message_has_a_schema_for_the_published_document() -> None:
    _, components = msgspec.json.schema_components([*REQUESTS, *MESSAGES])

    assert {kind.__name__ for kind in [*REQUESTS, *MESSAGES]} <= set(components)

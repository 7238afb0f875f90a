from __future__ import annotations

import pytest

from gyoza.client import _answers
from gyoza.client._effects import Answer
from gyoza.client.errors import (
    BadRequest,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    ResponseError,
    ServerFault,
    ServerUnavailable,
)
from tests.unit.client.hand_feeding import json_answer, problem

STATUSES = [
    (400, BadRequest),
    (401, NotAuthenticated),
    (403, NotAllowed),
    (404, NotFound),
    (405, BadRequest),
    (409, Conflict),
    (413, BadRequest),
    (421, NotAllowed),
    (422, InvalidInput),
    (429, RateLimited),
    (500, ServerFault),
    (502, ServerUnavailable),
    (503, ServerUnavailable),
    (504, ServerUnavailable),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_each_status_has_its_error(status: int, kind: type[ResponseError]) -> None:
    error = _answers.error_of(problem(status, "CODE", "what happened"))

    assert type(error) is kind
    assert (str(error), error.status, error.code) == ("what happened", status, "CODE")


def test_faults_and_the_request_id_come_along() -> None:
    fault = {"pointer": "/inputs/n", "message": "got 'x', expected a whole number"}

    error = _answers.error_of(problem(422, "INVALID_INPUT", errors=[fault], request_id="req_1"))

    assert [(each.pointer, each.message) for each in error.faults] == [tuple(fault.values())]
    assert error.request_id == "req_1"


def test_what_no_gyoza_server_said_is_quoted_and_says_so() -> None:
    error = _answers.error_of(Answer(502, {}, b"<html>Bad   Gateway</html>"))

    assert "not in the words of a gyoza server: <html>Bad Gateway</html>" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff"], ids=repr
)
def test_an_answer_that_strict_json_refuses_is_a_fault_of_the_server(body: bytes) -> None:
    with pytest.raises(ServerFault, match="cannot be read"):
        _answers.document(Answer(200, {}, body))


def test_a_run_of_another_shape_is_a_fault_of_the_server() -> None:
    with pytest.raises(ServerFault, match="state"):
        _answers.run(json_answer({"id": "run_x"}))


def test_fields_of_a_newer_server_are_passed_over() -> None:
    document = {"id": "run_x", "state": "PENDING", "priority": 5, "image": "i", "colour": "red"}

    assert _answers.run(json_answer(document)).id == "run_x"

"""The table of problems: complete, and rendered as RFC 9457 says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gyoza.server import errors
from gyoza.server.api import problems
from gyoza.server.errors import InvalidInput, RunNotFound, ServerError
from gyoza.wire import messages
from gyoza.wire.messages import Fault, Problem

CONTRACTS = Path(__file__).parents[4] / "docs/architecture/contracts.md"


def _all_errors() -> list[type[ServerError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, ServerError)]


@pytest.mark.parametrize("kind", _all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_server_has_a_status(kind: type[ServerError]) -> None:
    assert kind.code in problems.STATUSES


def test_the_table_is_the_one_of_the_contract() -> None:
    paragraph = next(
        line for line in CONTRACTS.read_text().splitlines() if line.startswith("Problem codes:")
    )
    promised = set(re.findall(r"`([A-Z_]+)`", paragraph))

    assert set(problems.STATUSES) == promised


def test_a_problem_names_its_kind_its_request_and_every_fault() -> None:
    error = InvalidInput([Fault(pointer="/inputs/text", message="is required")])

    document = problems.of_error(error, request_id="r1", instance="/api/v1/runs")

    assert document == Problem(
        type="/problems/invalid-input",
        title="The input is not valid",
        status=422,
        detail="/inputs/text: is required",
        code="INVALID_INPUT",
        request_id="r1",
        instance="/api/v1/runs",
        errors=[Fault(pointer="/inputs/text", message="is required")],
    )


def test_a_problem_is_sent_as_problem_json_that_clients_can_read_back() -> None:
    document = problems.of_error(RunNotFound("run_x"), request_id="r1")

    answer = problems.answer(document)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert messages.decode(bytes(answer.body), Problem) == document


def test_a_problem_with_thousands_of_faults_shows_a_hundred() -> None:
    faults = [Fault(pointer=f"/inputs/{n}", message="is not declared") for n in range(5_000)]

    document = problems.of_error(InvalidInput(faults))

    assert len(document.errors) == 100


def test_an_internal_problem_tells_the_request_id_and_nothing_else() -> None:
    document = problems.internal("r1", "/api/v1/runs")

    assert document.status == 500
    assert "r1" in document.detail


def test_a_body_that_was_not_read_ends_the_connection() -> None:
    answer = problems.answer(problems.of_error(errors.BodyTooLarge(10)))

    assert answer.headers["connection"] == "close"


def test_an_unavailable_store_says_when_to_come_back() -> None:
    answer = problems.answer(problems.of_error(errors.StoreUnavailable("disk full")))

    assert answer.headers["retry-after"] == "1"
    assert json.loads(bytes(answer.body))["detail"] == "disk full"

from __future__ import annotations

import pytest

from gyoza.cli.exit_codes import MEANINGS, ExitCode
from gyoza.cli.failures import CliError, failure_of
from gyoza.client import errors
from gyoza.wire.messages import Fault
from tests.support.run_documents import a_cancelled_run, a_failed_run, a_run


def response(kind: type[errors.ResponseError], **more: object) -> errors.ResponseError:
    return kind("what happened", status=400, **more)  # type: ignore[arg-type]


TABLE: list[tuple[Exception, ExitCode]] = [
    (errors.ConnectFailed("x"), ExitCode.UNAVAILABLE),
    (errors.ConnectionLost("x"), ExitCode.UNAVAILABLE),
    (errors.TimedOut("x"), ExitCode.UNAVAILABLE),
    (response(errors.BadRequest), ExitCode.INVALID),
    (response(errors.InvalidInput), ExitCode.INVALID),
    (response(errors.NotAuthenticated), ExitCode.NOT_ALLOWED),
    (response(errors.NotAllowed), ExitCode.NOT_ALLOWED),
    (response(errors.NotFound), ExitCode.NOT_FOUND),
    (response(errors.Conflict), ExitCode.CONFLICT),
    (response(errors.QuotaExceeded), ExitCode.CONFLICT),
    (response(errors.RateLimited), ExitCode.UNAVAILABLE),
    (response(errors.ServerUnavailable), ExitCode.UNAVAILABLE),
    (response(errors.ServerFault), ExitCode.UNEXPECTED),
    (errors.RunFailed("x", a_failed_run()), ExitCode.RUN_FAILED),
    (errors.RunCancelled("x", a_cancelled_run()), ExitCode.RUN_CANCELLED),
    (errors.WaitTimeout("x", a_run()), ExitCode.CLIENT_TIMEOUT),
    (CliError("x"), ExitCode.USAGE),
    (errors.FetchFailed("https://x answered 404", may_pass=False), ExitCode.INVALID),
    (FileNotFoundError(2, "No such file", "book.txt"), ExitCode.USAGE),
]


@pytest.mark.parametrize(("error", "code"), TABLE, ids=lambda each: type(each).__name__)
def test_each_error_ends_with_its_code(error: Exception, code: ExitCode) -> None:
    failure = failure_of(error)

    assert failure is not None
    assert failure.exit_code is code


def test_every_error_of_the_client_is_in_the_table() -> None:
    def leaves(kind: type) -> set[type]:
        below = kind.__subclasses__()
        return {leaf for each in below for leaf in leaves(each)} if below else {kind}

    assert leaves(errors.GyozaError) == {
        type(error) for error, _ in TABLE if isinstance(error, errors.GyozaError)
    }


def test_an_error_that_nobody_expected_has_no_words() -> None:
    assert failure_of(RuntimeError("bug")) is None


def test_a_server_that_is_away_is_answered_with_how_to_start_it() -> None:
    failure = failure_of(errors.ConnectFailed("cannot reach it"))

    assert failure is not None
    assert "`gyoza dev`" in failure.text()


def test_every_fault_of_an_input_has_a_line() -> None:
    faults = (Fault(pointer="/inputs/n", message="got 'x'"), Fault(pointer="", message="odd"))

    failure = failure_of(response(errors.InvalidInput, faults=faults, title="Invalid input"))

    assert failure is not None
    assert failure.text() == "error: invalid input\n  /inputs/n: got 'x'\n  /: odd"


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)

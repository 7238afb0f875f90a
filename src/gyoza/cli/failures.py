"""From errors to words and exit codes, in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gyoza.cli.exit_codes import ExitCode
from gyoza.client import errors

_START: Final = "start one with `gyoza dev`, or name it with --url or GYOZA_SERVER_URL"
_KEY: Final = "set GYOZA_API_KEY to a key the server knows"


class CliError(Exception):
    """A verb cannot go on.

    Args:
        message: One sentence in plain words, with the value that was wrong.
        exit_code: What the command ends with.
        hint: What to do next; "" when the message says it.
        details: Further lines.
    """

    def __init__(
        self,
        message: str,
        exit_code: ExitCode = ExitCode.USAGE,
        *,
        hint: str = "",
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.hint = hint
        self.details = details


@dataclass(frozen=True, slots=True)
class Failure:
    """What a person is told.

    Attributes:
        exit_code: What the command ends with.
        message: What went wrong.
        details: Further lines: each fault of an input, the request id.
        hint: What to do next; "" when there is nothing to say.
    """

    exit_code: ExitCode
    message: str
    details: tuple[str, ...] = ()
    hint: str = ""

    def text(self) -> str:
        """Return the lines to print."""
        lines = [f"error: {self.message}", *(f"  {line}" for line in self.details)]
        return "\n".join([*lines, f"  hint: {self.hint}"] if self.hint else lines)


# First match wins: subclasses stand before their parents.
_TABLE: Final[tuple[tuple[type[errors.GyozaError], ExitCode, str], ...]] = (
    (errors.ConnectFailed, ExitCode.UNAVAILABLE, _START),
    (errors.RequestError, ExitCode.UNAVAILABLE, "try again; the server may be restarting"),
    (errors.NotAuthenticated, ExitCode.NOT_ALLOWED, _KEY),
    (errors.NotAllowed, ExitCode.NOT_ALLOWED, ""),
    (errors.NotFound, ExitCode.NOT_FOUND, ""),
    (errors.Conflict, ExitCode.CONFLICT, ""),
    (errors.InvalidInput, ExitCode.INVALID, ""),
    (errors.QuotaExceeded, ExitCode.CONFLICT, "`gyoza quota list` shows what owners may have"),
    (errors.RateLimited, ExitCode.UNAVAILABLE, "try again a little later"),
    (errors.ServerUnavailable, ExitCode.UNAVAILABLE, "try again a little later"),
    (errors.BadRequest, ExitCode.INVALID, ""),
    (errors.FetchFailed, ExitCode.INVALID, "the address is fetched from this machine"),
    (errors.RunFailed, ExitCode.RUN_FAILED, ""),
    (errors.RunCancelled, ExitCode.RUN_CANCELLED, ""),
    (errors.WaitTimeout, ExitCode.CLIENT_TIMEOUT, ""),
    (errors.ServerFault, ExitCode.UNEXPECTED, "the server's log has the cause"),
)


def failure_of(error: Exception) -> Failure | None:
    """Return what to say about an error; None when nobody expected it."""
    if isinstance(error, CliError):
        return Failure(error.exit_code, error.message, error.details, error.hint)
    if isinstance(error, errors.GyozaError):
        return _of_client(error)
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return Failure(ExitCode.USAGE, f"{name}{error.strerror.lower()}")
    return None


def _of_client(error: errors.GyozaError) -> Failure:
    rows = (row for row in _TABLE if isinstance(error, row[0]))
    _, code, hint = next(rows, (errors.GyozaError, ExitCode.UNEXPECTED, ""))
    return Failure(code, _message(error), _details(error), hint)


def _message(error: errors.GyozaError) -> str:
    # The document's text repeats every fault; below it each has a line of its own.
    if isinstance(error, errors.ResponseError) and error.faults and error.title:
        return error.title.lower()
    return error.message


def _details(error: errors.GyozaError) -> tuple[str, ...]:
    if not isinstance(error, errors.ResponseError):
        return ()
    faults = [f"{fault.pointer or '/'}: {fault.message}" for fault in error.faults]
    found_by = isinstance(error, errors.ServerFault) and error.request_id
    return (*faults, f"request id: {error.request_id}") if found_by else tuple(faults)

"""Everything the client raises. One branch for "no answer came", one for "the answer says no".

    GyozaError
    |-- RequestError             no answer came
    |   |-- ConnectFailed        nobody listens there; nothing was sent
    |   |-- ConnectionLost       the connection broke while the answer was awaited
    |   `-- TimedOut             no answer in time
    |-- ResponseError            the answer says no
    |   |-- BadRequest           400 and other 4xx: the request makes no sense to this server
    |   |-- InvalidInput         422: what was sent is wrong; `faults` says what and where
    |   |-- NotAuthenticated     401: no key, or a wrong one
    |   |-- NotAllowed           403, 421: this key or host name may not
    |   |-- NotFound             404: no such thing
    |   |-- Conflict             409: its state does not take it
    |   |-- RateLimited          429: later
    |   |-- QuotaExceeded        429: the owner's; some runs have to start or end first
    |   |-- ServerFault          5xx: a mistake of the server's
    |   `-- ServerUnavailable    502, 503, 504: not now
    |-- FetchFailed              an input file cannot be had from its URL
    |-- RunError                 the run ended without success; carries the run
    |   |-- RunFailed
    |   `-- RunCancelled
    `-- WaitTimeout              the wait ended, the run did not; also a TimeoutError

Nothing else escapes from a client's methods but `ValueError` and `OSError` for wrong arguments and
local files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from gyoza.models import OpRun
    from gyoza.wire.messages import Fault, LogChunk


class GyozaError(Exception):
    """Anything that went wrong between the client, the server and a run.

    Attributes:
        is_retryable: Whether the same call may succeed a little later.
    """

    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(GyozaError):
    """No answer came.

    Attributes:
        url: The server that was asked.
    """

    is_retryable = True

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class ConnectFailed(RequestError):
    """Nobody listens at the address; nothing was sent."""


class ConnectionLost(RequestError):
    """The connection broke after the request was sent; whether it was carried out is unknown."""


class TimedOut(RequestError):
    """No answer came in time; whether the request was carried out is unknown."""


class ResponseError(GyozaError):
    """The server answered, and the answer is no.

    Attributes:
        status: HTTP status.
        code: Stable name of the problem, such as `RUN_NOT_FOUND`; "" when no gyoza server spoke.
        request_id: What finds the request in the server's log.
        title: The kind of problem, in words.
        faults: For invalid input, each fault with its JSON pointer.
        retry_after_s: How long the server asks to wait; None when it says nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        request_id: str = "",
        title: str = "",
        faults: tuple[Fault, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.title = title
        self.faults = faults
        self.retry_after_s = retry_after_s


class BadRequest(ResponseError):
    """The request makes no sense to this server."""


class InvalidInput(ResponseError):
    """What was sent is wrong; `faults` says what and where."""


class NotAuthenticated(ResponseError):
    """No key was sent, or one the server does not know."""


class NotAllowed(ResponseError):
    """The key may not do this, or the host name is not one the server answers to."""


class NotFound(ResponseError):
    """There is no such thing."""


class Conflict(ResponseError):
    """The state of the thing does not take the request."""


class RateLimited(ResponseError):
    """Too many requests; `retry_after_s` says when to come back."""

    is_retryable = True


class QuotaExceeded(ResponseError):
    """The owner has as many runs waiting as may be; some have to start or end first."""


class ServerFault(ResponseError):
    """The server made a mistake; its log has the request id."""


class ServerUnavailable(ResponseError):
    """The server, or what it stands on, is not ready to answer."""

    is_retryable = True


class FetchFailed(GyozaError):
    """An input file cannot be had from its URL.

    Attributes:
        may_pass: Whether the same fetch may succeed a little later.
    """

    def __init__(self, message: str, *, may_pass: bool) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class RunError(GyozaError):
    """A run that was waited for ended without success.

    Attributes:
        run: The run as it ended.
    """

    def __init__(self, message: str, run: OpRun) -> None:
        super().__init__(message)
        self.run = run

    @property
    def reason(self) -> str | None:
        """Why the run ended, such as `OOM`; None when nothing was noted."""
        return self.run.reason


class RunFailed(RunError):
    """The run failed.

    Attributes:
        last_logs: The last pieces of its output, oldest first.
    """

    def __init__(self, message: str, run: OpRun, last_logs: tuple[LogChunk, ...] = ()) -> None:
        super().__init__(message, run)
        self.last_logs = last_logs


class RunCancelled(RunError):
    """The run was cancelled."""


class WaitTimeout(GyozaError, TimeoutError):
    """The wait ended before the run did; the run goes on.

    Attributes:
        run: The run as last seen.
    """

    def __init__(self, message: str, run: OpRun) -> None:
        super().__init__(message)
        self.run = run

"""One question over HTTP, with nothing but the standard library: what answers, if anything does.

Not the client: the doctor looks at what the client is built to hide, such as headers, and must not
wait through its patience.
"""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

LIMIT_S: Final = 5.0
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Unanswered(Exception):
    """Nobody answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: Names in lower case.
        document: The body, when it is a JSON object; else {}.
    """

    status: int
    headers: Mapping[str, str]
    document: dict[str, Any]


def ask(url: str, headers: Mapping[str, str] | None = None) -> Answered:
    """Get an address of a server.

    Args:
        url: http or https.
        headers: To send.

    Raises:
        Unanswered: Nobody answered within five seconds.
    """
    # As the client does: no proxy belongs between this machine and itself.
    is_here = urlsplit(url).hostname in _LOOPBACK
    handlers = [urllib.request.ProxyHandler({})] if is_here else []
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310  the user's own
    try:
        with opener.open(request, timeout=LIMIT_S) as answer:
            return _answered(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _answered(error.code, error.headers, error.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unanswered(_reason(error)) from error


def ask_engine(address: str, path: str) -> Answered:
    """Get a path of a container engine.

    Args:
        address: `unix:///path` or `tcp://host:port`.
        path: From `/` on.

    Raises:
        Unanswered: None answered within five seconds.
    """
    scheme, _, rest = address.partition("://")
    connection = _UnixConnection(rest) if scheme == "unix" else _connection(rest)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return _answered(answer.status, answer.headers, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(_reason(error)) from error
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(place: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(place.rstrip("/"), timeout=LIMIT_S)


def _answered(status: int, headers: Any, body: bytes) -> Answered:
    try:
        value: Any = json.loads(body)
    except ValueError:
        value = None
    document = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return Answered(status, {name.lower(): text for name, text in headers.items()}, document)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {LIMIT_S:g} s"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause) or type(cause).__name__

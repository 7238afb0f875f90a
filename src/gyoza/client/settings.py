"""Where the server is and how the client talks to it: arguments over environment over defaults.

A running `gyoza dev` stands between the environment and the default address.

The environment is read here, once per client, and nowhere else in the package.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gyoza.client.dev_endpoint import find_endpoint, state_dir

DEFAULT_URL: Final = "http://localhost:5555"
DEFAULT_TIMEOUT_S: Final = 30.0
URL_VARIABLE: Final = "GYOZA_SERVER_URL"
KEY_VARIABLE: Final = "GYOZA_API_KEY"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how long to wait before a call is repeated.

    Attributes:
        retries: Repetitions of one call after its first failure.
        first_s: Longest pause before the first repetition; it doubles with each further one.
        cap_s: Longest pause of all.
        patience_s: How long waiting and following bear a server that does not answer, so that
            they outlive its restart.
        random: Gives a number from 0 to 1; the pause is jittered with it, so that many clients do
            not come back at the same moment.
    """

    retries: int = 3
    first_s: float = 0.2
    cap_s: float = 5.0
    patience_s: float = 60.0
    random: Callable[[], float] = random.random

    def pause_s(self, failures: int, retry_after_s: float | None = None) -> float:
        """Return the pause after so many failures in a row (1 is the first).

        Args:
            failures: Failures so far, 1 or more.
            retry_after_s: What the server asked for, which is never cut short; None if nothing.
        """
        longest = min(self.cap_s, self.first_s * 2 ** min(failures - 1, 30))
        pause = longest * (0.5 + 0.5 * self.random())
        return max(pause, retry_after_s or 0.0)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Everything a client is told.

    Attributes:
        base_url: The server, without `/api/v1` and without a slash at its end.
        api_key: Sent as `X-API-Key`; None sends none.
        timeout_s: Seconds for connecting, and for each silence while an answer is awaited.
        backoff: When calls are repeated.
    """

    base_url: str = DEFAULT_URL
    api_key: str | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    backoff: Backoff = Backoff()

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, where no proxy belongs in between."""
        return urlsplit(self.base_url).hostname in _LOOPBACK


def read_settings(
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = DEFAULT_TIMEOUT_S,
    *,
    environment: Mapping[str, str] | None = None,
) -> ClientSettings:
    """Put the settings together.

    Args:
        base_url: None takes `GYOZA_SERVER_URL`, else the address of this user's running `gyoza
            dev`, else `http://localhost:5555`.
        api_key: None takes `GYOZA_API_KEY`, or else none.
        timeout: In seconds, more than 0.
        environment: None is the process's own.

    Raises:
        ValueError: The address is not an http or https URL, or the timeout is not positive.
    """
    known = os.environ if environment is None else environment
    if timeout <= 0:
        raise ValueError(f"timeout {timeout} is not positive; give seconds, such as 30.0")
    return ClientSettings(
        base_url=_checked_url(base_url or known.get(URL_VARIABLE) or _url_of_dev(known)),
        api_key=api_key or known.get(KEY_VARIABLE) or None,
        timeout_s=timeout,
    )


def _url_of_dev(environment: Mapping[str, str]) -> str:
    running = find_endpoint(state_dir(environment))
    return DEFAULT_URL if running is None else running.url


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is not a server address; write it like {DEFAULT_URL}")
    return url.rstrip("/").removesuffix("/api/v1")

"""Who may come in: keys, and without keys the names this server answers to.

With any key configured, callers and workers each need their own: a caller's key cannot claim work,
and a worker's key cannot submit it. Without keys the server listens on loopback only, and what is
left to fear is a web page in a browser on the same machine. It can reach the server by a name of
its own that resolves to 127.0.0.1, which the Host allow-list refuses, or by a form or a `no-cors`
fetch from its own origin, which the Origin check refuses.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from gyoza.server.errors import HostNotAllowed, NotAllowed, NotAuthenticated
from gyoza.server.settings import Settings

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Access(Enum):
    """Who may use an operation."""

    PUBLIC = "public"
    CALLER = "caller"
    WORKER = "worker"
    EITHER = "either"


class Principal(Enum):
    """Who a request comes from, as far as its key tells."""

    CALLER = "caller"
    WORKER = "worker"


class UnsafeSettings(ValueError):
    """The server would be open to people it should not be open to; the text says what to set."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The configured keys; None means that nobody can come in as that."""

    caller: bytes | None = None
    worker: bytes | None = None

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """Take the keys out of the settings.

        Raises:
            UnsafeSettings: Both keys are the same, so that every caller could claim work.
        """
        caller = settings.api_key.get_secret_value().encode() if settings.api_key else None
        worker = settings.worker_key.get_secret_value().encode() if settings.worker_key else None
        if caller is not None and caller == worker:
            raise UnsafeSettings(
                "GYOZA_API_KEY and GYOZA_WORKER_KEY are the same, so every caller could claim "
                "work; give each its own value"
            )
        return cls(caller, worker)

    @property
    def configured(self) -> bool:
        """Whether any key is asked for."""
        return self.caller is not None or self.worker is not None

    def principal_of(self, sent: str | None) -> Principal | None:
        """Return whose key this is; None for nobody's.

        Both keys are always compared, in constant time, so that the time taken tells nothing.
        """
        offered = (sent or "").encode()
        is_caller = hmac.compare_digest(offered, self.caller or b"")
        is_worker = hmac.compare_digest(offered, self.worker or b"")
        if is_caller and self.caller:
            return Principal.CALLER
        return Principal.WORKER if is_worker and self.worker else None

    def admit(self, headers: Headers, access: Access) -> None:
        """Let a request through, or refuse it.

        Raises:
            NotAuthenticated: A key is needed, and none or an unknown one was sent.
            NotAllowed: The key is good, but not for this operation.
        """
        if not self.configured or access is Access.PUBLIC:
            return
        sent = headers.get("x-api-key")
        principal = self.principal_of(sent)
        if principal is None:
            what = "the key in X-API-Key is not known" if sent else "send a key in X-API-Key"
            raise NotAuthenticated(f"{what} (callers: GYOZA_API_KEY, workers: GYOZA_WORKER_KEY)")
        if access is not Access.EITHER and access.value != principal.value:
            raise NotAllowed(
                f"this is for {access.value}s, and the key sent is a {principal.value}'s"
            )


class AllowedHosts:
    """The names a server without keys answers to.

    Args:
        names: Beside localhost, 127.0.0.1 and [::1]; without ports.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._names = LOCAL_HOSTS | {name.lower().strip("[]") for name in names}

    def admit(self, headers: Headers) -> None:
        """Let a request through, or refuse it.

        Raises:
            HostNotAllowed: The Host header names another host.
            NotAllowed: A browser sends this for a page of another host.
        """
        host = headers.get("host", "")
        if _name_in(f"//{host}") not in self._names:
            raise HostNotAllowed(host)
        origin = headers.get("origin")
        if origin is not None and _name_in(origin) not in self._names:
            raise NotAllowed(
                f"a page of {origin} may not use this server; add its host to "
                "GYOZA_ALLOWED_HOSTS on the server, or configure keys"
            )


def refuse_unsafe_binding(host: str, keys: Keys) -> None:
    """Refuse to listen where others can come in, unless they need a key.

    Raises:
        UnsafeSettings: `host` is not loopback and no key is configured.
    """
    if keys.configured or is_loopback(host):
        return
    raise UnsafeSettings(
        f"refusing to listen on {host} without keys, since anyone there could run containers; "
        "set GYOZA_API_KEY (for callers) and GYOZA_WORKER_KEY (for workers), or listen on "
        "127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address to listen on is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _name_in(address: str) -> str:
    # urlsplit knows ports and brackets of IPv6; a header that it cannot read names nobody.
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""

"""Talk to a gyoza server from Python: `GyozaClient` for threads, `AsyncGyozaClient` for tasks.

Names load on first use, so that importing an error class does not bring an HTTP library with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gyoza.client._bulk import BulkSummary, RunSelection
    from gyoza.client.async_client import AsyncGyozaClient
    from gyoza.client.errors import (
        BadRequest,
        Conflict,
        ConnectFailed,
        ConnectionLost,
        FetchFailed,
        GyozaError,
        InvalidInput,
        NotAllowed,
        NotAuthenticated,
        NotFound,
        QuotaExceeded,
        RateLimited,
        RequestError,
        ResponseError,
        RunCancelled,
        RunError,
        RunFailed,
        ServerFault,
        ServerUnavailable,
        TimedOut,
        WaitTimeout,
    )
    from gyoza.client.files import AsyncFileRef, FileInput, FileRef
    from gyoza.client.handles import AsyncRunHandle, RunHandle
    from gyoza.client.settings import Backoff, ClientSettings, read_settings
    from gyoza.client.sync_client import GyozaClient

_HOMES: Final = {
    "gyoza.client._bulk": ("BulkSummary", "RunSelection"),
    "gyoza.client.async_client": ("AsyncGyozaClient",),
    "gyoza.client.errors": (
        "BadRequest",
        "Conflict",
        "ConnectFailed",
        "ConnectionLost",
        "FetchFailed",
        "GyozaError",
        "InvalidInput",
        "NotAllowed",
        "NotAuthenticated",
        "NotFound",
        "QuotaExceeded",
        "RateLimited",
        "RequestError",
        "ResponseError",
        "RunCancelled",
        "RunError",
        "RunFailed",
        "ServerFault",
        "ServerUnavailable",
        "TimedOut",
        "WaitTimeout",
    ),
    "gyoza.client.files": ("AsyncFileRef", "FileInput", "FileRef"),
    "gyoza.client.handles": ("AsyncRunHandle", "RunHandle"),
    "gyoza.client.settings": ("Backoff", "ClientSettings", "read_settings"),
    "gyoza.client.sync_client": ("GyozaClient",),
}
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncFileRef",
    "AsyncGyozaClient",
    "AsyncRunHandle",
    "Backoff",
    "BadRequest",
    "BulkSummary",
    "ClientSettings",
    "Conflict",
    "ConnectFailed",
    "ConnectionLost",
    "FetchFailed",
    "FileInput",
    "FileRef",
    "GyozaClient",
    "GyozaError",
    "InvalidInput",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "QuotaExceeded",
    "RateLimited",
    "RequestError",
    "ResponseError",
    "RunCancelled",
    "RunError",
    "RunFailed",
    "RunHandle",
    "RunSelection",
    "ServerFault",
    "ServerUnavailable",
    "TimedOut",
    "WaitTimeout",
    "read_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)

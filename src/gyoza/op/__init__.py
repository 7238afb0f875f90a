"""What an op and its worker agree on, and what runs inside the container.

Standard library only, and nothing of gyoza beside itself: `gyoza build` copies this folder into
images as it is. `protocol` is the container contract; everything an op's author uses is exported
here and loaded when first asked for, so that reading the contract costs nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gyoza.op.cancellation import Cancelled
    from gyoza.op.context import Context
    from gyoza.op.current import cancelled, log, metric, progress
    from gyoza.op.decorator import op
    from gyoza.op.errors import BadInput, OutputError, SpecError, TryAgain
    from gyoza.op.fields import Field
    from gyoza.op.files import File, Image, Table

__all__ = [
    "BadInput",
    "Cancelled",
    "Context",
    "Field",
    "File",
    "Image",
    "OutputError",
    "SpecError",
    "Table",
    "TryAgain",
    "cancelled",
    "log",
    "metric",
    "op",
    "progress",
]

_HOMES = {
    "BadInput": "errors",
    "Cancelled": "cancellation",
    "Context": "context",
    "Field": "fields",
    "File": "files",
    "Image": "files",
    "OutputError": "errors",
    "SpecError": "errors",
    "Table": "files",
    "TryAgain": "errors",
    "cancelled": "current",
    "log": "current",
    "metric": "current",
    "op": "decorator",
    "progress": "current",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)

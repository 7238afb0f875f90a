"""Writes JSON that the worker's strict parser takes, whatever text an author puts into it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, cast

UNWRITABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
"""NUL and halves of surrogate pairs: the parser refuses them, as databases would."""


def to_json(value: Any) -> bytes:
    """Return a value as one line of compact UTF-8 JSON.

    What JSON cannot hold is written as text, and unwritable characters as question marks: words for
    people must arrive. Outputs are checked before and pass unchanged.
    """
    plain = _writable(value)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _writable(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value).items()
        return {_writable(str(key)): _writable(member) for key, member in members}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in cast("list[Any]", value)]
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if value is None or is_number else UNWRITABLE.sub("?", str(value))

"""Sizes and durations as people write them: `2GiB`, `500 MB`, `10m`, `1h30m`."""

from __future__ import annotations

import math
import re
from typing import Final

_MEBIBYTE: Final = 2**20
_BYTES: Final = {
    "": _MEBIBYTE,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhd]?)\s*")


def megabytes(size: str | float) -> int:
    """Return a size in megabytes of 2**20 bytes, rounded up; a bare number is megabytes.

    Raises:
        ValueError: It is no size, or nothing.
    """
    found = _SIZE.fullmatch(str(size).strip())
    unit = _BYTES.get(found[2].lower()) if found else None
    amount = math.ceil(float(found[1]) * unit / _MEBIBYTE) if found and unit else 0
    if amount <= 0:
        raise ValueError(f"got {size!r}, expected a size such as '512MiB' or '8GiB'")
    return amount


def seconds(duration: str | float) -> float:
    """Return a duration in seconds; a bare number is seconds.

    Raises:
        ValueError: It is no duration, or nothing.
    """
    text = str(duration).strip()
    parts: list[tuple[str, str]] = _PART.findall(text)
    is_whole = re.fullmatch(f"({_PART.pattern})+", text) is not None
    is_clear = len(parts) == 1 or all(unit for _, unit in parts)
    length = sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    length = length if is_whole and is_clear else 0.0
    if length <= 0:
        raise ValueError(f"got {duration!r}, expected a duration such as '90s', '10m' or '1h30m'")
    return length

"""Which bytes of a file a request asks for: RFC 9110 section 14, one range of bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# A Range with several parts, or of another unit, is ignored, as section 14.2 allows.
_RANGE: Final = re.compile(r"bytes=\s*(\d{0,15})-(\d{0,15})\s*", re.ASCII)


def range_of(headers: Mapping[str, str], size: int, *, etag: str) -> range | None:
    """Return the positions that a request asks for: all of them, or those of its range.

    Args:
        headers: Of the request.
        size: Bytes of the file.
        etag: Of the file; with another one in `If-Range` the whole file is meant.

    Returns:
        None when the range has no byte of the file.
    """
    whole = range(size)
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return whole
    first, last = found.groups()
    if not first:
        return _last(int(last), size) if last else whole
    if last and int(last) < int(first):
        return whole
    return whole[int(first) : int(last) + 1 if last else size] or None


def _last(count: int, size: int) -> range | None:
    return range(max(0, size - count), size) or None

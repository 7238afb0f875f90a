"""The one JSON parser and writer of gyoza, used wherever JSON enters or leaves.

Parsers disagree on NaN, duplicate keys, huge integers, surrogates and depth; a value that one part
accepts and another refuses is how bad data reaches a database. So there is one parser, the standard
library's with every lenient habit switched off, and it refuses what PostgreSQL, JavaScript or a log
reader could not hold. Nothing else in gyoza may call `json.loads` on data that came from outside.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_DEPTH: Final = 64
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
# 64-bit integers have at most 19 digits; the check also spares int() from quadratic conversions.
_MAX_INTEGER_CHARS: Final = 20
_ESCAPED: Final = re.compile(r"\\u(0000|[dD][89abAB])|[\ud800-\udfff\x00]|\\u[dD][c-fC-F]")


class StrictJsonError(ValueError):
    """The text is not JSON that gyoza accepts.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the offending value, "" when the whole text is meant.
    """

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


def loads(text: bytes | str, *, max_bytes: int | None = None) -> Any:
    """Parse JSON strictly.

    Args:
        text: UTF-8 bytes or text.
        max_bytes: Refuse longer input before it is parsed; None means no limit here.

    Raises:
        StrictJsonError: Not JSON; not UTF-8; longer than `max_bytes`; a NaN or an infinity (also as
            an overflowing number such as 1e999); a duplicate key; NUL; a lone surrogate; nesting
            deeper than 64; an integer beyond signed 64 bits.
    """
    decoded = _decode(text, max_bytes)
    try:
        value: Any = _DECODER.decode(decoded)
    except RecursionError:
        raise StrictJsonError(f"nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise StrictJsonError(message) from None
    _check_what_hooks_cannot_see(decoded, value)
    return value


def dumps(value: Any) -> bytes:
    """Write a value as compact UTF-8 JSON that `loads` accepts.

    Raises:
        StrictJsonError: The value holds something JSON or `loads` refuses; the pointer says where.
    """
    check(value)
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def dumps_text(value: Any) -> str:
    """Like `dumps`, as text, for database columns."""
    return dumps(value).decode()


def check(value: Any) -> None:
    """Refuse a Python value that has no strict JSON form.

    Raises:
        StrictJsonError: With a JSON pointer to the first offending place.
    """
    for pointer, depth, item in _walk(value):
        problem = _problem(item, depth)
        if problem is not None:
            raise StrictJsonError(problem, pointer)


def pointer_of(*parts: str | int) -> str:
    """Join reference tokens to a JSON pointer, escaped as RFC 6901 section 3 says."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def _decode(text: bytes | str, max_bytes: int | None) -> str:
    size = len(text)
    if max_bytes is not None and size > max_bytes:
        raise StrictJsonError(f"{size} bytes, at most {max_bytes} are accepted")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StrictJsonError(f"not UTF-8: byte {error.start} cannot be decoded") from None


def _check_what_hooks_cannot_see(text: str, value: Any) -> None:
    # Depth and strings need a walk over the value. Most documents are shallow and plain, which two
    # cheap looks at the text prove, so the walk is rare.
    may_be_deep = text.count("{") + text.count("[") > MAX_DEPTH
    if may_be_deep or _ESCAPED.search(text):
        check(value)


def _walk(value: Any) -> Iterator[tuple[str, int, Any]]:
    stack: list[tuple[str, int, Any]] = [("", 0, value)]
    while stack:
        pointer, depth, item = stack.pop()
        yield pointer, depth, item
        stack.extend(
            (pointer + pointer_of(name), depth + 1, child) for name, child in _children(item)
        )


def _children(item: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(item, dict):
        return cast("dict[str, Any]", item).items()
    if isinstance(item, list | tuple):
        return enumerate(cast("list[Any]", item))
    return ()


def _problem(item: Any, depth: int) -> str | None:
    if isinstance(item, dict):
        return _key_problem(cast("dict[Any, Any]", item)) or _depth_problem(depth)
    if isinstance(item, list | tuple):
        return _depth_problem(depth)
    return _text_problem(item) if isinstance(item, str) else _scalar_problem(item)


def _scalar_problem(item: object) -> str | None:
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, int):
        return None if MIN_INTEGER <= item <= MAX_INTEGER else _too_wide(item)
    if isinstance(item, float):
        return None if math.isfinite(item) else f"{item} is not a JSON number"
    return f"a {type(item).__name__} has no JSON form"


def _depth_problem(depth: int) -> str | None:
    return None if depth < MAX_DEPTH else f"nested deeper than {MAX_DEPTH} levels"


def _key_problem(item: dict[Any, Any]) -> str | None:
    for key in item:
        if not isinstance(key, str):
            return f"key {key!r} is not a string"
        problem = _text_problem(key)
        if problem is not None:
            return f"key: {problem}"
    return None


def _text_problem(text: str) -> str | None:
    if "\x00" in text:
        return "text holds a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "text holds a lone surrogate"
    return None


def _too_large(digits: str) -> str:
    shown = digits if len(digits) <= _MAX_INTEGER_CHARS else f"{digits[:_MAX_INTEGER_CHARS]}..."
    return f"integer {shown} does not fit in 64 bits"


def _too_wide(number: int) -> str:
    # Not the digits: converting thousands of them is what Python itself refuses.
    return f"an integer of {number.bit_length()} bits does not fit in 64 bits"


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_CHARS or not MIN_INTEGER <= int(digits) <= MAX_INTEGER:
        raise StrictJsonError(_too_large(digits))
    return int(digits)


def _parse_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise StrictJsonError(f"number {digits[:40]} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise StrictJsonError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise StrictJsonError(f"duplicate key {key[:80]!r}")
            seen.add(key)
    return members


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse_constant,
    parse_float=_parse_number,
    parse_int=_parse_integer,
)

"""What the domain knows about users' JSON: how to copy it, point into it and say what it is.

No parsing here: text enters through the one strict parser of the wire package.
"""

from __future__ import annotations

import copy
import difflib
import math
import reprlib
from collections.abc import Iterable
from typing import Any, TypeGuard, cast

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 80


def copy_json(value: Any) -> Any:
    """Return a copy that shares no list or dict with the value (several times copy.deepcopy)."""
    kind = cast("type[Any]", type(value))
    if kind is dict:
        return {key: copy_json(item) for key, item in cast("dict[Any, Any]", value).items()}
    if kind is list:
        return [copy_json(item) for item in cast("list[Any]", value)]
    if value is None or kind in (str, int, float, bool):
        return value
    return copy.deepcopy(value)


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether the value is an integer in JSON's sense: booleans and floats are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether the value is a number in JSON's sense: booleans are none, NaN is none."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def pointer(*names: str) -> str:
    """Return the JSON pointer (RFC 6901) of the path: ``~`` and ``/`` in names are escaped."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def shown(value: object) -> str:
    """Return the value as an error message shows it: as JSON words it, and never long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _shortened.repr(value)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of the names that a person who typed the name most likely meant, or None."""
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)), None)

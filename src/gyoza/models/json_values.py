"""What the domain knows about users' JSON: how to copy it, point into it and say what it is.

No parsing here: text enters through the one strict parser of the wire package.
"""

from __future__ import annotations

import copy
import difflib
import reprlib
from collections.abc import Iterable
from typing import Any, cast

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 80


def copy_json(value: Any) -> Any:
    """Return a copy that shares no list or dict with the value (several times copy.deepcopy)."""
    kind = type(value)
    if kind is dict:
        return {key: copy_json(item) for key, item in cast("dict[Any, Any]", value).items()}
    if kind is list:
        return [copy_json(item) for item in cast("list[Any]", value)]
    if value is None or kind in (str, int, float, bool):
        return value
    return copy.deepcopy(value)


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

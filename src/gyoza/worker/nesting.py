"""How deep a value from an op may be nested, so that a message around it can still be sent."""

from __future__ import annotations

from typing import Any, Final, cast

MAX_VALUE_LEVELS: Final = 56
"""A message may be nested 64 levels deep as a whole (`gyoza.wire.strict_json`)."""


def is_too_deep(value: Any, levels: int = MAX_VALUE_LEVELS) -> bool:
    """Whether lists and objects are nested deeper than so many levels; a bare value has none."""
    layer: list[Any] = [value]
    for _ in range(levels + 1):
        if not any(isinstance(each, dict | list) for each in layer):
            return False
        layer = [inner for each in layer for inner in _inside(each)]
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []

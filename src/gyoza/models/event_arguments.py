"""What a caller may hand to ``OpRun.add_event``, checked before anything is changed.

Whether the run's state takes the event is not decided here but in ``lifecycle``.
"""

from __future__ import annotations

import re
from typing import Any, cast

from gyoza.models.json_values import is_number, is_whole, shown
from gyoza.models.lifecycle import Trigger, trigger_of
from gyoza.models.resources import EventType

_OWN_METHODS = {Trigger.ASSIGN: "assign()", Trigger.RELEASE: "release()", Trigger.RETRY: "retry()"}
_FULL = 100
_WHOLE_PERCENTAGE = re.compile(r"0*(?:100|[0-9]{1,2})", re.ASCII)


def event_type(value: object) -> EventType:
    """Return the type, also from its name.

    Raises:
        ValueError: There is no such type, or the run has a method of its own for it.
    """
    try:
        kind = EventType(value)
    except ValueError as error:
        names = ", ".join(each.value for each in EventType if trigger_of(each) not in _OWN_METHODS)
        raise ValueError(f"unknown event type {shown(value)}; expected one of {names}") from error
    method = _OWN_METHODS.get(trigger_of(kind))
    if method:
        raise ValueError(f"{kind.value} is no event to add; call {method}, which records it")
    return kind


def percentage(value: object) -> int:
    """Return the whole number from 0 to 100 that an int, integral float or digit string stands for.

    Raises:
        ValueError: The value is anything else, a boolean or NaN included.
    """
    if isinstance(value, str) and _WHOLE_PERCENTAGE.fullmatch(value):
        return int(value)
    if is_number(value) and 0 <= value <= _FULL and value == int(value):
        return int(value)
    raise ValueError(f"progress is {shown(value)}; expected a whole number from 0 to 100 in msg")


def message(value: object) -> str | int:
    """Return the message as it is; an integral float becomes the integer it stands for.

    Raises:
        ValueError: The value is neither a string nor a whole number.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) or is_whole(value):
        return value
    raise ValueError(f"msg is {shown(value)}; expected a string or a whole number")


def payload(value: object) -> dict[str, Any]:
    """Return the payload, an empty one for None.

    Raises:
        ValueError: The value is no dict.
    """
    if value is None:
        return {}
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    raise ValueError(f"payload is {shown(value)}; expected an object or nothing")

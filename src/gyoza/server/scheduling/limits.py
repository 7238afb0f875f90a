"""What holds a run back whatever room there is: paused ops, and limits per op and per owner."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

RuleName: TypeAlias = Literal["paused", "op_limit", "owner_limit"]


class Rule(NamedTuple):
    """Why a run is held back although there may be room.

    Attributes:
        name: Which rule it is.
        text: The same for people, with figures.
    """

    name: RuleName
    text: str

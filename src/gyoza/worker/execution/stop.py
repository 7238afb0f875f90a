"""Orders to end an attempt early, and who wins when there are several.

What an order means for the container is done in `stages.follow_output`, what it means for the
result in `outcome`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class StopKind(Enum):
    """Why an attempt is to end, from the mildest to the one that overrides all others."""

    RELEASE = 0
    """Give the assignment back; only as long as the container has not been started."""
    CANCEL = 1
    """A caller wants no result."""
    PREEMPTED = 2
    """A much more urgent run needs the place; this one will be tried again."""
    RUN_TIMEOUT = 3
    """The container has run for as long as it may."""
    TOTAL_TIMEOUT = 4
    """The run as a whole is over its time."""
    DISK_LIMIT = 5
    """The op has written more than it may; waiting would only make it more."""
    SHUTDOWN = 6
    """The worker was told twice to end."""
    DISCARD = 7
    """The attempt is not ours any more: nothing of it may be reported."""


_AT_ONCE = frozenset({StopKind.DISK_LIMIT, StopKind.SHUTDOWN, StopKind.DISCARD})


@dataclass(frozen=True, slots=True)
class StopOrder:
    """One order.

    Attributes:
        kind: Decides what happens.
        message: For people; "" if there is nothing to add.
    """

    kind: StopKind
    message: str = ""

    @property
    def is_at_once(self) -> bool:
        """The container is killed without being asked to end first."""
        return self.kind in _AT_ONCE

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for the journal."""
        return {"kind": self.kind.name, "message": self.message}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StopOrder:
        """The inverse of `to_dict`.

        Raises:
            KeyError: There is no such kind of order, or a member is missing.
        """
        return cls(StopKind[data["kind"]], data["message"])


class StopSignal:
    """Where orders to end one attempt arrive.

    Attributes:
        requested: Set from the first order on.
        at_once: Set once an order wants the container dead without delay.
    """

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.at_once = asyncio.Event()
        self._order: StopOrder | None = None

    @property
    def order(self) -> StopOrder | None:
        """The order that counts: the first, unless one that kills at once came later."""
        return self._order

    def request(self, order: StopOrder) -> None:
        """Ask for the end; may be repeated."""
        current = self._order
        if current is None or (order.is_at_once and order.kind.value > current.kind.value):
            self._order = order
        self.requested.set()
        if order.is_at_once:
            self.at_once.set()

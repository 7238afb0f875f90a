"""One numbered stream from an attempt to the server: what waits, and what was sent unanswered.

Items wait without numbers, so that dropping some leaves no gap; they are numbered when first sent
and keep their numbers until the server has acknowledged them. What the items are is told in
`spool`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gyoza.wire.messages import ReportedEvent, ReportedLog
from gyoza.worker.cursors import NOWHERE, Place

Item = TypeVar("Item", ReportedEvent, ReportedLog)


class _Waiting(NamedTuple, Generic[Item]):
    """Something that was never sent.

    Attributes:
        may_end: A batch may end with it: its place, and no earlier one, is behind it.
    """

    item: Item
    size: int
    place: Place[Any]
    may_end: bool


class Channel(Generic[Item]):
    """Items in order, each with the room it takes.

    Args:
        batch_size: Room that one batch may take; a single larger item is a batch of its own.
        next_seq: The first number to give.
        place: What the numbers before it cover.
    """

    def __init__(self, batch_size: int, *, next_seq: int = 1, place: Place[Any] = NOWHERE) -> None:
        self._batch_size = batch_size
        self._waiting: deque[_Waiting[Item]] = deque()
        self._waiting_size = 0
        self._sent: list[Item] = []
        self._next_seq = next_seq
        self._place = place
        self._mark: Item | None = None
        self._marked = 0
        self._marked_place = NOWHERE

    @property
    def is_empty(self) -> bool:
        """Nothing waits and nothing is unanswered."""
        return not self._waiting and not self._sent and self._mark is None

    @property
    def has_waiting(self) -> bool:
        """Something was never sent."""
        return bool(self._waiting) or self._mark is not None

    @property
    def last_seq(self) -> int:
        """The last number given; 0 before the first."""
        return self._next_seq - 1

    @property
    def place(self) -> Place[Any]:
        """What the numbers up to `last_seq` cover of the source."""
        return self._place

    @property
    def last_waiting(self) -> Item | None:
        """What was put last, if it was not sent yet."""
        return self._waiting[-1].item if self._waiting else None

    def put(
        self, item: Item, size: int, place: Place[Any] = NOWHERE, *, may_end: bool = True
    ) -> None:
        """Append an item that takes so much room.

        Args:
            item: What to send.
            size: Its room.
            place: What it covers of the source.
            may_end: False if the next item is of the same place and must travel with it.
        """
        self._waiting.append(_Waiting(item, size, place, may_end))
        self._waiting_size += size

    def replace_last(self, item: Item, more_size: int, place: Place[Any]) -> None:
        """Put an item, larger by so much, in place of the last one that waits."""
        last = self._waiting.pop()
        place = max(place, last.place, key=_order)
        self._waiting.append(_Waiting(item, last.size + more_size, place, may_end=True))
        self._waiting_size += more_size

    def shed(
        self, limit: int, may_drop: Callable[[Item], bool], mark: Callable[[int], Item]
    ) -> None:
        """Drop the oldest that may be dropped until the rest fits; one mark stands for them all.

        Args:
            limit: Room for all that waits.
            may_drop: Whether an item may be dropped.
            mark: Makes the mark from the room that the dropped items took, all together.
        """
        if self._waiting_size <= limit:
            return
        kept: list[_Waiting[Item]] = []
        # Down to three quarters: shedding at every single item would cost more than it frees.
        while self._waiting and self._waiting_size > limit * 3 // 4:
            oldest = self._waiting.popleft()
            if may_drop(oldest.item):
                self._waiting_size -= oldest.size
                self._marked += oldest.size
                self._marked_place = max(self._marked_place, oldest.place, key=_order)
            else:
                kept.append(oldest)
                if len(kept) > len(self._waiting):
                    break
        self._waiting.extendleft(reversed(kept))
        if self._marked:
            self._mark = mark(self._marked)

    @property
    def is_unanswered(self) -> bool:
        """Something was sent, and has to be sent again until it is answered."""
        return bool(self._sent)

    def next_batch(self, last: tuple[Item, Place[Any]] | None = None) -> list[Item]:
        """What to send: the unanswered once more, or else the next items, numbered.

        Args:
            last: Ends a new batch, whatever its size; ask `is_unanswered` first whether it is new.
        """
        if not self._sent:
            taken = self._taken()
            if last is not None:
                taken.append(last[0])
                self._reach(last[1])
            self._sent = [self._numbered(item) for item in taken]
        return list(self._sent)

    def acknowledge(self, count: int) -> None:
        """The server has the first `count` of the unanswered."""
        del self._sent[:count]

    def go_on_from(self, expected: int) -> None:
        """The server expects this number next: send from there, renumbering what is left."""
        self._sent = [item for item in self._sent if item.seq >= expected]
        self._next_seq = expected
        self._sent = [self._numbered(item) for item in self._sent]

    def drop_sent(self) -> None:
        """Give up on the unanswered."""
        self._sent = []

    def _taken(self) -> list[Item]:
        taken: list[Item] = []
        if self._mark is not None:
            taken.append(self._mark)
            self._reach(self._marked_place)
            self._mark, self._marked, self._marked_place = None, 0, NOWHERE
        left, may_end = self._batch_size, bool(taken)
        while self._waiting and (not may_end or left >= self._waiting[0].size):
            item, size, place, may_end = self._waiting.popleft()
            self._waiting_size -= size
            left -= size
            taken.append(item)
            self._reach(place)
        return taken

    def _reach(self, place: Place[Any]) -> None:
        # An item that comes from no source moves nothing, and dropped ones may be ahead of others.
        self._place = max(self._place, place, key=_order)

    def _numbered(self, item: Item) -> Item:
        numbered = msgspec.structs.replace(item, seq=self._next_seq)
        self._next_seq += 1
        return numbered


def _order(place: Place[Any]) -> int:
    return place.order

"""One numbered stream from an attempt to the server: what waits, and what was sent unanswered.

Items wait without numbers, so that dropping some leaves no gap; they are numbered when first sent
and keep their numbers until the server has acknowledged them. What the items are is told in
`spool`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from gyoza.wire.messages import ReportedEvent, ReportedLog

Item = TypeVar("Item", ReportedEvent, ReportedLog)


class Channel(Generic[Item]):
    """Items in order, each with the room it takes.

    Args:
        batch_size: Room that one batch may take; a single larger item is a batch of its own.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._waiting: deque[tuple[Item, int]] = deque()
        self._waiting_size = 0
        self._sent: list[Item] = []
        self._next_seq = 1
        self._mark: Item | None = None
        self._marked = 0

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
    def last_waiting(self) -> Item | None:
        """What was put last, if it was not sent yet."""
        return self._waiting[-1][0] if self._waiting else None

    def put(self, item: Item, size: int) -> None:
        """Append an item that takes so much room."""
        self._waiting.append((item, size))
        self._waiting_size += size

    def replace_last(self, item: Item, more_size: int) -> None:
        """Put an item, larger by so much, in place of the last one that waits."""
        _, size = self._waiting.pop()
        self._waiting.append((item, size + more_size))
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
        kept: list[tuple[Item, int]] = []
        # Down to three quarters: shedding at every single item would cost more than it frees.
        while self._waiting and self._waiting_size > limit * 3 // 4:
            item, size = self._waiting.popleft()
            if may_drop(item):
                self._waiting_size -= size
                self._marked += size
            else:
                kept.append((item, size))
                if len(kept) > len(self._waiting):
                    break
        self._waiting.extendleft(reversed(kept))
        if self._marked:
            self._mark = mark(self._marked)

    def next_batch(self) -> list[Item]:
        """What to send: the unanswered once more, or else the next items, numbered."""
        if not self._sent:
            self._sent = [self._numbered(item) for item in self._taken()]
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
            self._mark, self._marked = None, 0
        left = self._batch_size
        while self._waiting and (left >= self._waiting[0][1] or not taken):
            item, size = self._waiting.popleft()
            self._waiting_size -= size
            left -= size
            taken.append(item)
        return taken

    def _numbered(self, item: Item) -> Item:
        numbered = msgspec.structs.replace(item, seq=self._next_seq)
        self._next_seq += 1
        return numbered

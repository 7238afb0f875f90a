"""What waits in virtual time, by lane, and of it what one plan has to look at.

Runs of one priority, shape, owner and op are interchangeable but for their age. As in the server's
own queue, a plan sees the heads of all lanes, and of lanes that find room as many runs as there is
room for: what lies behind could neither be placed nor change the plan.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from gyoza.server.scheduling.snapshot import Shape
from gyoza.server.whatif.load import LoadRun


class Lane:
    """Runs that are interchangeable, oldest first, by their numbers in the load.

    Attributes:
        shape: What each needs.
        runs: Their numbers.
    """

    __slots__ = ("priority", "runs", "shape")

    def __init__(self, shape: Shape, priority: int) -> None:
        self.shape = shape
        self.priority = priority
        self.runs: deque[int] = deque()


class Waiting:
    """The queue.

    Args:
        runs: All runs of the load, by number.
        most_lanes: Lanes that one plan looks at, high priorities first.
    """

    def __init__(self, runs: tuple[LoadRun, ...], most_lanes: int) -> None:
        self._runs = runs
        self._most_lanes = most_lanes
        self._lanes: dict[tuple[int, str | None, str | None, Shape], Lane] = {}
        self.count = 0

    def add(self, number: int) -> None:
        """Let a run wait; one that waited before goes back to its place."""
        run = self._runs[number]
        key = (run.priority, run.owner, run.op, run.shape)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(run.shape, run.priority)
        insort(lane.runs, number)
        self.count += 1

    def remove(self, number: int) -> None:
        """Take out a run that was placed."""
        run = self._runs[number]
        key = (run.priority, run.owner, run.op, run.shape)
        lane = self._lanes[key]
        if lane.runs[0] == number:
            lane.runs.popleft()
        else:
            lane.runs.remove(number)
        if not lane.runs:
            del self._lanes[key]
        self.count -= 1

    def shapes(self) -> set[Shape]:
        """Every shape that waits."""
        return {lane.shape for lane in self._lanes.values()}

    def window(self, room_for: Callable[[Shape], int]) -> Iterator[int]:
        """Yield the runs that a plan has to look at.

        Args:
            room_for: How many runs of a shape may find room; never too few.
        """
        for lane in self._urgent_lanes():
            wanted = 1 if len(lane.runs) == 1 else max(1, room_for(lane.shape))
            yield from islice(lane.runs, wanted)

    def _urgent_lanes(self) -> list[Lane]:
        lanes = list(self._lanes.values())
        if len(lanes) > self._most_lanes:
            lanes.sort(key=lambda lane: -lane.priority)
        return lanes[: self._most_lanes]

"""What an earlier process of this worker had done of an attempt, so that this one can go on.

Values only. They are put together in `adoption` from the engine's inventory, the journal and the
server's verdict; the stages look here for what they need not, or must not, do again.
"""

from __future__ import annotations

from dataclasses import dataclass

from gyoza.worker.cursors import NOTHING, Cursors
from gyoza.worker.execution.stop import StopOrder
from gyoza.worker.runtime.interface import ContainerHandle, ContainerState, ImageInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """An attempt with a container, taken over.

    Attributes:
        handle: Its container.
        state: The container's as it was found.
        past: What the server has got, and where in the sources to go on.
        lost_logs: Where that is in the output is not known: the container's words since then, up
            to now, are missing.
        lost_events: The same of the op's events.
        order: What the earlier process had told the container to end for.
        image: What the container was made from; None if that is not known.
        engine_broke: The engine, or the machine, was started again meanwhile.
    """

    handle: ContainerHandle
    state: ContainerState
    past: Cursors = NOTHING
    lost_logs: bool = False
    lost_events: bool = False
    order: StopOrder | None = None
    image: ImageInfo | None = None
    engine_broke: bool = False

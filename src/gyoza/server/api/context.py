"""What every route can reach: the parts that the composition root put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyoza.server.api.access import Keys
from gyoza.server.api.lifelines import Stopping
from gyoza.server.clock import Clock
from gyoza.server.settings import Settings
from gyoza.server.storage.artifact_files import ArtifactFiles
from gyoza.server.storage.store import Store
from gyoza.server.use_cases.outside import Outside


@dataclass(frozen=True, slots=True)
class ServerContext:
    """The running server as its routes see it.

    Attributes:
        version: Of the gyoza distribution.
        settings: Read once.
        keys: Who may come in.
        store: The one truth.
        clock: Measures waits.
        artifact_files: Bytes of artifacts.
        outside: What use cases take from outside.
        stopping: Ends streams and long polls.
        dispatcher_age_s: Seconds since the dispatcher last ticked; None before its first tick.
    """

    version: str
    settings: Settings
    keys: Keys
    store: Store
    clock: Clock
    artifact_files: ArtifactFiles
    outside: Outside
    stopping: Stopping
    dispatcher_age_s: Callable[[], float | None]

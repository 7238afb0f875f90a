"""What use cases take from outside, beside the unit of work: settings, ids, randomness.

The composition root makes one `Outside` for the whole process; a test or a simulator makes one that
a seed can replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TypeAlias

from gyoza.server.settings import Settings
from gyoza.server.use_cases.tally import Tally

IdSource: TypeAlias = Callable[[str, datetime], str]
"""Makes a new id of the kind (`run`, `bat`) that carries the moment."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What does not come from the database.

    Attributes:
        settings: The numbers decided by.
        ids: Makes ids.
        random: Jitter of backoffs; thread-safe as `random.Random` is.
        tally: Counts what is rare.
    """

    settings: Settings
    ids: IdSource
    random: Random
    tally: Tally = field(default_factory=Tally)

"""What a scripted container does, as data: its words, its files, its end; and how a pull goes.

Values only; `fake` plays them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gyoza.worker.runtime.interface import RuntimeFault, StreamName


@dataclass(frozen=True, slots=True)
class Say:
    """The program writes to one of its streams.

    Attributes:
        data: What it writes.
        stream: Where.
        after_s: Seconds that pass before.
    """

    data: bytes
    stream: StreamName = "stdout"
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Append:
    """The program appends to a file in its `out/`, such as a line to `events.jsonl`.

    Attributes:
        path: Relative to `out/`; folders are made.
        data: What it appends.
        after_s: Seconds that pass before.
    """

    path: str
    data: bytes
    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What containers of one image do: first the steps, then the duration, then the end.

    Attributes:
        steps: What the program says and appends while it runs.
        duration_s: How long it runs once the steps are done; infinity never ends by itself.
        writes: Files put into `out/` just before the end, by path relative to it.
        on_run: Called at the end with the folders behind `in/` and `out/` (None where the
            container has no such mount); what it returns is the exit code.
        exit_code: The end's, unless `on_run` says.
        oom: The kernel kills it for memory at the end, with exit code 137.
        ignores_sigterm: SIGTERM does nothing; otherwise it ends the program with 143, unwritten.
        fails_to_start: Not empty: the start fails, with these words.
    """

    steps: tuple[Say | Append, ...] = ()
    duration_s: float = 0.0
    writes: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    on_run: Callable[[Path | None, Path | None], int] | None = None
    exit_code: int = 0
    oom: bool = False
    ignores_sigterm: bool = False
    fails_to_start: str = ""

    @property
    def takes_no_time(self) -> bool:
        """It is over as soon as it is started."""
        return self.duration_s <= 0 and all(step.after_s <= 0 for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullScript:
    """How the registry serves one image.

    Attributes:
        duration_s: How long the download takes, in `messages` equal parts.
        size_bytes: Of the image.
        messages: How often progress is told.
        fault: Raised in place of the image, at the end.
    """

    duration_s: float = 0.0
    size_bytes: int = 1_000_000
    messages: int = 4
    fault: RuntimeFault | None = None

"""What the trials of an image have shown. Values only; what follows from them is in `checks`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gyoza.models import OpDefinition
from gyoza.testing.engine import Change, ImageFacts
from gyoza.testing.measuring import Measured
from gyoza.testing.results import RunResult


@dataclass(slots=True)
class Left:
    """What an op left in `out/`, before anybody touched it.

    Attributes:
        output_bytes: Size of `output.json`; None when there is none.
        event_lines: Of `events.jsonl`, whole.
        event_notes: What is wrong with that file as such.
        has_error: There is an `error.json` that can be read.
        refused_files: Files under `out/files/` that a worker leaves out, and why.
        was_input_read: Whether `input.json` was opened; None when that cannot be known.
        was_output_renamed: Whether `output.json` appeared whole; None when that is unknown.
        changes: Of the image's own files.
        ended_s: Monotonic seconds at which the container was dead; None when it never ran.
    """

    output_bytes: int | None = None
    event_lines: list[bytes] = field(default_factory=list[bytes])
    event_notes: list[str] = field(default_factory=list[str])
    has_error: bool = False
    refused_files: list[str] = field(default_factory=list[str])
    was_input_read: bool | None = None
    was_output_renamed: bool | None = None
    changes: list[Change] = field(default_factory=list[Change])
    ended_s: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the image.

    Attributes:
        result: Its end, as a worker would have reported it.
        left: What the op left.
        measured: While it ran.
    """

    result: RunResult
    left: Left
    measured: Measured = field(default_factory=Measured)

    @property
    def has_completed(self) -> bool:
        """Whether it came to outputs that a worker takes."""
        return self.result.outcome == "COMPLETED"


@dataclass(frozen=True, slots=True)
class Stopping:
    """The trial in which the op was asked to end.

    Attributes:
        trial: It.
        took_s: Seconds from the request to the end; None when it ended before the request.
    """

    trial: Trial
    took_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of an image.

    Attributes:
        image: What it says of itself.
        definition: The op, from its label, from a `gyoza.yml`, or declaring nothing.
        is_declared: Whether label or file say anything.
        inputs: That were tried; None when none could be made up.
        no_inputs_because: Why none could.
        asked_mb: Memory that a run of it gets.
        plain: The run as any worker would do it; None without inputs.
        refusal: The run with wrong inputs; None when nothing would be wrong.
        wrong: What was wrong with them.
        stopping: The run that was asked to end.
        writable: The run with a root that can be written to.
        as_root: The run as root; only made when the others failed.
    """

    image: ImageFacts
    definition: OpDefinition
    is_declared: bool
    inputs: Mapping[str, Any] | None = None
    no_inputs_because: str = ""
    asked_mb: int = 512
    plain: Trial | None = None
    refusal: Trial | None = None
    wrong: str = ""
    stopping: Stopping | None = None
    writable: Trial | None = None
    as_root: Trial | None = None

"""What became of a run without a server, as a test looks at it. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, cast

from gyoza.models.value_types import ARTIFACT_KEY
from gyoza.wire.messages import ReportedEvent, Result

_TAIL_LINES: Final = 20
_PARTIAL: Final = "output"


class RunFailed(AssertionError):
    """A run that was to complete did not; the message has its reason and its last lines of log."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run, as a server would have recorded it.

    Attributes:
        type: STARTED, PROGRESS, INFO or ERROR.
        msg: For people; for PROGRESS the percentage.
        payload: Fields that go with it; `kind` tells metrics and partial outputs.
    """

    type: str
    msg: str | int
    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The end of a run.

    Attributes:
        outcome: As a run's state.
        reason: Why it did not complete: USER_ERROR, BAD_INPUT, OUTPUT_INVALID, OOM ...; None when
            it did.
        message: The reason in words; "" when it completed.
        outputs: As the op returned them; an output of type file is a `Path` to it.
        files: Every file the op left, by its name under `out/files/`.
        events: In their order; of progress only what a server would have been told.
        logs: Standard output and error as they came.
        stderr: Standard error alone.
        exit_code: None when nothing ran.
        duration_ms: Time of the op alone; None when nothing ran.
        peak_memory_mb: Most main memory in use at one time; None where nobody measured it, or the
            run was too short for that.
        evidence: What the verdict rests on, as the worker reports it.
    """

    outcome: Literal["COMPLETED", "FAILED", "CANCELLED"]
    reason: str | None = None
    message: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    events: tuple[Event, ...] = ()
    logs: str = ""
    stderr: str = ""
    exit_code: int | None = None
    duration_ms: int | None = None
    peak_memory_mb: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def progress(self) -> list[int]:
        """The percentages that were told."""
        return [int(event.msg) for event in self.events if event.type == "PROGRESS"]

    @property
    def partial_outputs(self) -> list[Any]:
        """What a generator yielded, in its order."""
        told = (event.payload for event in self.events if event.payload.get("kind") == _PARTIAL)
        return [payload.get("value") for payload in told]

    @property
    def metrics(self) -> list[tuple[str, Any]]:
        """Names and values of the metrics that were told."""
        told = (event.payload for event in self.events if event.payload.get("kind") == "metric")
        return [(str(payload.get("name")), payload.get("value")) for payload in told]

    def completed(self) -> Self:
        """Return this result if the run completed.

        Raises:
            RunFailed: It did not.
        """
        if self.outcome == "COMPLETED":
            return self
        raise RunFailed(self.account())

    def account(self) -> str:
        """How it ended, in words, with the end of the log if it did not complete."""
        if self.outcome == "COMPLETED":
            return "COMPLETED"
        lines = self.logs.splitlines()[-_TAIL_LINES:]
        head = f"{self.outcome} {self.reason or ''}: {self.message}".rstrip(": ")
        return "\n".join([head, *(f"  | {line}" for line in lines)])

    def to_dict(self) -> dict[str, Any]:
        """Serialise to JSON: paths as text, events as objects."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "message": self.message,
            "outputs": {name: _plain(value) for name, value in self.outputs.items()},
            "files": {name: str(path) for name, path in self.files.items()},
            "events": [
                {"type": each.type, "msg": each.msg, "payload": dict(each.payload)}
                for each in self.events
            ],
            "exit_code": self.exit_code,
            "duration_ms": self.duration_ms,
            "peak_memory_mb": self.peak_memory_mb,
        }


def result_from(
    result: Result,
    *,
    files: Mapping[str, Path],
    events: Iterable[ReportedEvent],
    logs: Iterable[tuple[str, str]],
    peak_memory_mb: float | None = None,
) -> RunResult:
    """Make a result out of what a worker reported.

    Args:
        result: The worker's verdict.
        files: Where each file of the op is now, by its name.
        events: That were reported.
        logs: Stream and text of each piece of output.
        peak_memory_mb: If somebody measured it.
    """
    pieces = list(logs)
    return RunResult(
        outcome=result.outcome,
        reason=result.reason,
        message=result.message,
        outputs={name: _with_path(value, files) for name, value in result.outputs.items()},
        files=dict(files),
        events=tuple(Event(each.type, each.msg, each.payload) for each in events),
        logs="".join(text for _, text in pieces),
        stderr="".join(text for stream, text in pieces if stream == "stderr"),
        exit_code=result.exit_code,
        duration_ms=result.duration_ms,
        peak_memory_mb=peak_memory_mb,
        evidence=result.evidence,
    )


def _with_path(value: Any, files: Mapping[str, Path]) -> Any:
    if isinstance(value, list):
        return [_with_path(item, files) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if set(members) == {ARTIFACT_KEY}:
        return files[members[ARTIFACT_KEY]["name"]]
    return {name: _with_path(member, files) for name, member in members.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _plain(member) for name, member in members.items()}
    return str(value) if isinstance(value, Path) else value

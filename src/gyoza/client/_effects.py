"""What a flow may ask of the world, and what it gets back: values, no I/O.

A flow is a generator that yields effects and is sent their results; when an effect fails, the
error is thrown in where the effect was yielded. So a whole conversation is tested by hand-feeding.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from gyoza.client.errors import GyozaError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        method: Upper case.
        path: From `/` on, below the server's address, already quoted.
        query: Pairs, in order; names may repeat.
        headers: Beside those that every request has.
        body: Bytes, or the file to stream; None sends nothing.
        skip: Bytes at the file's beginning that are not sent.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | Path | None = None
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What names a file by its content."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """A copy of a file on this machine's disk, which goes when the flow has ended.

    Attributes:
        media_type: What its sender called it; "" when nobody did.
    """

    path: Path
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request and read the whole answer: gives an Answer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Open a stream, closing the one before: gives an Answer, its body only unless it is 200.

    Attributes:
        silence_s: Longest silence on the stream before `TimedOut`.
    """

    request: Request
    silence_s: float


@dataclass(frozen=True, slots=True)
class NextChunk:
    """Read on in the open stream: gives bytes, or None at its end."""


@dataclass(frozen=True, slots=True)
class Download:
    """Stream an answer into a file that appears, whole, only when its hash is right.

    Gives an Answer, its body only when it is a refusal, or raises ConnectionLost when the bytes are
    not those of the hash. Asked again after a broken connection, it goes on where it was.
    """

    request: Request
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class HashFile:
    """Read a file and give its FileFacts."""

    path: Path


@dataclass(frozen=True, slots=True)
class Spool:
    """Copy what cannot be read twice, an open file or a URL's, to disk: gives Spooled.

    Raises FetchFailed when the URL does not give it.
    """

    source: Any


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass: gives None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Read the monotonic clock: gives seconds."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand an item to whoever iterates the flow: gives None."""

    item: Any


Effect: TypeAlias = Send | Open | NextChunk | Download | HashFile | Spool | Sleep | Now | Emit
Flow: TypeAlias = Generator[Effect, Any, T]


class Stepper(Generic[T]):
    """Takes a flow forward, one effect at a time; the part of a driver that has no colour."""

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self._outcome: Any = None
        self._result: list[T] = []

    def next_effect(self) -> Effect | None:
        """Return the effect to carry out now; None when the flow has returned.

        Raises:
            GyozaError: The flow ended with it.
        """
        try:
            if isinstance(self._outcome, GyozaError):
                return self._flow.throw(self._outcome)
            return self._flow.send(self._outcome)
        except StopIteration as stop:
            self._result.append(stop.value)
            return None

    def answer(self, outcome: Any) -> None:
        """Tell what the last effect gave; a GyozaError is what it failed with."""
        self._outcome = outcome

    def close(self) -> None:
        """Drop the flow."""
        self._flow.close()

    @property
    def result(self) -> T:
        """What the flow returned."""
        return self._result[0]

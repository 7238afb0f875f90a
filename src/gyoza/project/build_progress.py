"""What a builder prints, read into steps: BuildKit's plain progress and the classic builder's.

One reader per builder takes lines and gives the steps that they end. The formats are nobody's
contract: a line that means nothing to a reader is kept for the tail of an error and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

_BUILDKIT: Final = re.compile(r"#(?P<number>\d+) (?P<rest>.*)")
_BUILDKIT_STEP: Final = re.compile(r"\[(?!internal\])(?:.*\s)?\d+/\d+\] (?P<text>.+)")
_BUILDKIT_DONE: Final = re.compile(r"DONE (?P<seconds>[0-9.]+)s")
_CLASSIC_STEP: Final = re.compile(r"Step \d+/\d+ : (?P<text>.+)")
_CLASSIC_CACHED: Final = " ---> Using cache"
_OPTIONS: Final = re.compile(r"(?<=[A-Z])(\s+--\S+)+")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction that was carried out.

    Attributes:
        text: The instruction, without its options.
        seconds: How long it took.
        is_cached: Whether an earlier build had done it.
    """

    text: str
    seconds: float
    is_cached: bool


class StepReader(Protocol):
    """Takes a builder's lines, one after the other."""

    def read(self, line: str) -> Iterator[Step]:
        """Yield the steps that a line shows to have ended."""
        ...

    def end(self) -> Iterator[Step]:
        """Yield the step that ended with the output."""
        ...


class BuildKitReader:
    """Reads `docker build --progress=plain`."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def read(self, line: str) -> Iterator[Step]:
        """Yield the step that a line shows to have ended."""
        found = _BUILDKIT.fullmatch(line)
        if found is None:
            return
        number, rest = found["number"], found["rest"]
        step, done = _BUILDKIT_STEP.fullmatch(rest), _BUILDKIT_DONE.fullmatch(rest)
        if step:
            self._texts[number] = _brief(step["text"])
        elif number in self._texts and (done or rest == "CACHED"):
            seconds = float(done["seconds"]) if done else 0.0
            yield Step(self._texts.pop(number), seconds, is_cached=done is None)

    def end(self) -> Iterator[Step]:
        """Yield nothing: every step says when it is done."""
        yield from ()


class ClassicReader:
    """Reads the classic builder, which names each step when it begins and gives no times.

    Args:
        monotonic: Clock in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._text = ""
        self._began = 0.0
        self._is_cached = False

    def read(self, line: str) -> Iterator[Step]:
        """Yield the step before the one that a line begins."""
        found = _CLASSIC_STEP.fullmatch(line)
        if found:
            yield from self.end()
            self._text, self._began, self._is_cached = (
                _brief(found["text"]),
                self._monotonic(),
                False,
            )
        elif line == _CLASSIC_CACHED:
            self._is_cached = True

    def end(self) -> Iterator[Step]:
        """Yield the last step."""
        if self._text:
            yield Step(self._text, self._monotonic() - self._began, self._is_cached)
            self._text = ""


def _brief(text: str) -> str:
    return " ".join(_OPTIONS.sub("", text, count=1).split())

"""What can be wrong with an op, its inputs and its outputs, and how its author says so.

Every error lists all of its problems, each with the JSON pointer of its place. How an error ends an
attempt is decided in `runtime`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        pointer: JSON pointer (RFC 6901) of the value, or the parameter's name in a signature; ""
            when the whole is meant.
        message: What was found, what was expected, what to do.
    """

    pointer: str
    message: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class _Problems(ValueError):
    """Several problems as one error.

    Args:
        problems: All of them; a text is a problem of the whole.
    """

    retryable = False
    """Another attempt would meet the same."""

    def __init__(self, problems: str | Iterable[Problem]) -> None:
        self.problems: list[Problem] = (
            [Problem("", problems)] if isinstance(problems, str) else list(problems)
        )
        super().__init__("; ".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[_Problems], tuple[list[Problem]]]:
        return type(self), (self.problems,)


class SpecError(_Problems):
    """No specs can be made from the op's code; names every parameter and type at fault."""


class BadInput(_Problems):
    """The inputs are wrong: exit code 65, never retried. Authors may raise it with a text."""


class OutputError(_Problems):
    """What the op returned has no place in its outputs."""


class TryAgain(Exception):
    """Something outside failed: exit code 75, the attempt is not counted against the run.

    Args:
        message: What failed, for people.
        delay_s: Seconds to wait at least before the next attempt; None leaves it to the server.
    """

    def __init__(self, message: str = "", delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


def pointer(place: Iterable[str | int]) -> str:
    """Join the steps to a place into a JSON pointer, escaped as RFC 6901 section 3 says."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)


def shown(value: object) -> str:
    """A value as an error message shows it: worded as in JSON, and never long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


_SHOWN_CHARS = 80

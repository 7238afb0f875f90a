"""One line of the doctor's report: what was looked at, what was seen, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Status(Enum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's outcome.

    Attributes:
        group: client, server, engine, gpu or disk.
        name: What was looked at.
        status: How it came out.
        seen: What was found there.
        remedy: What to do; "" where there is nothing to do.
    """

    group: str
    name: str
    status: Status
    seen: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "status": self.status.value}


@dataclass(frozen=True, slots=True)
class Group:
    """Makes the findings of one group.

    Attributes:
        name: Of the group.
    """

    name: str

    def ok(self, name: str, seen: str) -> Finding:
        """Return that all is well."""
        return Finding(self.name, name, Status.OK, seen)

    def warn(self, name: str, seen: str, remedy: str) -> Finding:
        """Return that it works, but not as it should."""
        return Finding(self.name, name, Status.WARN, seen, remedy)

    def fail(self, name: str, seen: str, remedy: str) -> Finding:
        """Return that it does not work."""
        return Finding(self.name, name, Status.FAIL, seen, remedy)

    def skipped(self, name: str, seen: str) -> Finding:
        """Return that there was nothing to look at."""
        return Finding(self.name, name, Status.SKIPPED, seen)


def is_healthy(findings: list[Finding]) -> bool:
    """Return whether nothing fails; warnings are no failure."""
    return all(finding.status is not Status.FAIL for finding in findings)


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: (1, 1, 5) of `1.1.5+ds1`, () of none."""
    numbers: list[int] = []
    for part in text.strip().removeprefix("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)

"""Findings and reports: what was checked, what was seen, what was expected, what to do. Values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(Enum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one thing.

    Attributes:
        check: Stable name.
        title: The rule, as a sentence.
        status: WARN works today and deserves a change.
        seen: What the check rests on; for SKIP why it was left out.
        expected: "" when it passed.
        fix: What to do; "" when there is nothing.
    """

    check: str
    title: str
    status: Status
    seen: str = ""
    expected: str = ""
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """Serialise to JSON; what is empty stays away."""
        words = {"seen": self.seen, "expected": self.expected, "fix": self.fix}
        head = {"check": self.check, "status": self.status.value, "title": self.title}
        return {**head, **{name: text for name, text in words.items() if text}}


@dataclass(frozen=True, slots=True)
class Report:
    """All findings about one subject.

    Attributes:
        subject: Image or project.
        findings: In the order of the checks.
        facts: What else is worth knowing, by name: inputs, duration, memory.
    """

    subject: str
    findings: tuple[Finding, ...]
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def has_passed(self) -> bool:
        """Whether nothing failed."""
        return all(each.status is not Status.FAIL for each in self.findings)

    def summary(self) -> str:
        """How many findings of each kind."""
        counts = Counter(each.status for each in self.findings)
        words = {
            Status.PASS: "passed",
            Status.WARN: "with a warning",
            Status.FAIL: "failed",
            Status.SKIP: "skipped",
        }
        told = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]
        return ", ".join(told)

    def to_dict(self) -> dict[str, Any]:
        """Serialise to JSON."""
        return {
            "subject": self.subject,
            "passed": self.has_passed,
            "findings": [each.to_dict() for each in self.findings],
            "facts": self.facts,
        }

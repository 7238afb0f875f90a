"""Limits of ops and quotas of owners in words."""

from __future__ import annotations

from gyoza.wire.messages import LimitsView


def limits_text(limits: LimitsView) -> str:
    """Return "paused", "4 of 4", both, or how many are at work; "" when there is nothing to say."""
    parts = ["paused"] if limits.paused else []
    if limits.max_parallel is not None:
        parts.append(f"{limits.at_work} of {limits.max_parallel}")
    elif limits.at_work:
        parts.append(str(limits.at_work))
    return ", ".join(parts)


def figure(most: int | None) -> str:
    """Return a limit, "none" when there is no limit."""
    return "none" if most is None else str(most)

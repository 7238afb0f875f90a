"""A stage that cannot go on: which reason the run gets, and whose fault it is. Pure.

The reasons are those of `docs/architecture/contracts.md`. How an ended container is judged is told
in `outcome`.
"""

from __future__ import annotations

from typing import Final

from gyoza.worker.runtime.interface import (
    GpuFailed,
    ImageNotFound,
    PullDenied,
    PullFailed,
    RuntimeFault,
    StartFailed,
)

_REASONS: Final[tuple[tuple[type[RuntimeFault], str], ...]] = (
    (ImageNotFound, "IMAGE_NOT_FOUND"),
    (PullDenied, "IMAGE_DENIED"),
    (PullFailed, "PULL_FAILED"),
    (GpuFailed, "GPU_FAILED"),
    (StartFailed, "START_FAILED"),
)


class StageFailure(Exception):
    """An attempt fails before, or apart from, what its container does.

    Args:
        reason: As in the table of reasons.
        message: What failed, with which value, and what to do next.
        charged: The user's own doing, so it counts against the run's attempts.
        retryable: Another attempt may help.
        detail: Somebody else's words, such as the engine's; "" if there are none.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        charged: bool = False,
        retryable: bool = True,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.charged = charged
        self.retryable = retryable
        self.detail = detail
        self.stage = ""


def of_fault(fault: RuntimeFault) -> StageFailure:
    """The failure that a runtime's fault means for an attempt."""
    return StageFailure(
        _reason(fault),
        fault.message,
        charged=fault.charged,
        # What the machinery did wrong may go right elsewhere, whatever this engine thinks of it.
        retryable=fault.is_recoverable or not fault.charged,
        detail=fault.detail,
    )


def _reason(fault: RuntimeFault) -> str:
    for kind, reason in _REASONS:
        if isinstance(fault, kind):
            return reason
    return "START_FAILED" if fault.charged else "ENGINE_FAILURE"

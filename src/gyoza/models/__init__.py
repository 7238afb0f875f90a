"""gyoza domain models.

Single source of truth for all shared domain types, aggregates, and value objects used by the
server, worker, and CLI. Standard library only; no I/O; the clock is asked only where ``now`` was
not given.
"""

from __future__ import annotations

from gyoza.models.lifecycle import OpRunLockedException
from gyoza.models.op_attempt import OpAttempt
from gyoza.models.op_definition import (
    OP_ID_PATTERN,
    InputSpec,
    InputSpecs,
    InputValidationError,
    OpDefinition,
    OutputSpec,
    OutputSpecs,
    OutputValidationError,
)
from gyoza.models.op_run import NewEvent, OpRun
from gyoza.models.resources import (
    Constraints,
    EventDelivery,
    EventEntry,
    EventType,
    Execution,
    ExecutionSummary,
    ExitCodes,
    OnOom,
    OpRunState,
    RetryPolicy,
    Timeouts,
)

__all__ = [
    "OP_ID_PATTERN",
    "Constraints",
    "EventDelivery",
    "EventEntry",
    "EventType",
    "Execution",
    "ExecutionSummary",
    "ExitCodes",
    "InputSpec",
    "InputSpecs",
    "InputValidationError",
    "NewEvent",
    "OnOom",
    "OpAttempt",
    "OpDefinition",
    "OpRun",
    "OpRunLockedException",
    "OpRunState",
    "OutputSpec",
    "OutputSpecs",
    "OutputValidationError",
    "RetryPolicy",
    "Timeouts",
]

"""The labels by which a container is found again after a crash; never secrets."""

from __future__ import annotations

from typing import Final

from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.services import Services

LABEL: Final = "org.gyoza."


def labels(context: ExecutionContext, services: Services) -> dict[str, str]:
    """All labels of an attempt's container."""
    assignment, identity = context.assignment, services.identity
    named = {
        "managed": "1",
        "cluster": services.cluster_id,
        "worker": identity.worker_id,
        "machine": identity.machine_id,
        "boot": identity.boot_id,
        "run": assignment.run_id,
        "attempt": str(assignment.attempt),
        "fence": str(assignment.fence),
    }
    return {f"{LABEL}{name}": value for name, value in named.items()}

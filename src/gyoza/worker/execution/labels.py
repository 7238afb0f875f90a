"""The labels by which a container is found again after a crash; never secrets."""

from __future__ import annotations

from typing import Final

from gyoza.worker.execution.context import ExecutionContext
from gyoza.worker.execution.services import Services

LABEL: Final = "org.gyoza."


def room_labels(context: ExecutionContext) -> dict[str, str]:
    """What the container was granted, for a server that has forgotten it."""
    granted, gpu_uuid = context.assignment.granted, context.assignment.gpu_uuid
    named = {name: str(granted.get(name, 0)) for name in ("cpu", "ram_mb", "vram_mb")}
    named |= {"gpu": gpu_uuid} if gpu_uuid else {}
    return {f"{LABEL}{name}": value for name, value in named.items()}


def labels(context: ExecutionContext, services: Services) -> dict[str, str]:
    """What tells an attempt's container from every other."""
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

"""What an op may know of its run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from gyoza.op import protocol
from gyoza.op.cancellation import Cancellation
from gyoza.op.text_forms import TEXT_FORMS


@dataclass(frozen=True)
class Context:
    """The run that an op works for; all defaults outside of a container.

    A parameter annotated `Context` is filled in and never part of the inputs.

    Attributes:
        run_id: "" outside of a run.
        attempt: Counted from 1.
        op: Id of the op's definition; None for a run of a bare image.
        version: The definition's version.
        image_digest: What the container was started from.
        deadline: When the op will be asked to stop; None for never.
        resources: What was granted: `cpu`, `ram_mb`, `vram_mb`; None where nothing was asked for.
        gpus: UUIDs of the GPUs that the op may use.
        cancellation: Whether the op shall stop.
    """

    run_id: str = ""
    attempt: int = 1
    op: str | None = None
    version: str | None = None
    image_digest: str | None = None
    deadline: datetime | None = None
    resources: Mapping[str, Any] = field(default_factory=dict[str, Any])
    gpus: tuple[str, ...] = ()
    cancellation: Cancellation = field(default_factory=Cancellation, repr=False, compare=False)

    @cached_property
    def temp(self) -> Path:
        """A folder of this attempt's own; gone with the container."""
        return Path(tempfile.mkdtemp(prefix="gyoza-"))

    def cancelled(self) -> bool:
        """Whether the op shall stop."""
        return self.cancellation.is_requested


def read_context(folder: Path, cancellation: Cancellation) -> Context:
    """Read `context.json`; members that are missing keep their defaults.

    Args:
        folder: The `in/` folder.
        cancellation: Of the attempt.

    Raises:
        ValueError: The file is there and is no JSON object.
    """
    path = folder / protocol.CONTEXT_FILE
    document: Any = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected a JSON object")  # noqa: TRY004 - a wrong file
    found = cast("dict[str, Any]", document)
    deadline = found.get("deadline")
    return Context(
        run_id=found.get("run_id", ""),
        attempt=found.get("attempt", 1),
        op=found.get("op"),
        version=found.get("op_version"),
        image_digest=found.get("image_digest"),
        deadline=TEXT_FORMS[datetime].read(deadline) if deadline else None,
        resources=found.get("granted") or {},
        gpus=tuple(found.get("gpu_uuids") or ()),
        cancellation=cancellation,
    )

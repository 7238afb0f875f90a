"""Which of an op's snapshots are kept: the newest, and those that a run which is not over needs.

A version's row in the worker's file stays, so that a run of a version whose sources are gone says
so, instead of finding an image without its code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gyoza.worker.execution.dev_sources import (
    DevSource,
    file_of,
    read_dev_sources,
    write_dev_sources,
)

if TYPE_CHECKING:
    from gyoza.client import GyozaClient
    from gyoza.project.engine_build import Engine
    from gyoza.project.snapshots import Snapshots

KEPT: Final = 10
_ROWS: Final = 1000
_NOT_OVER: Final = ("PENDING", "ASSIGNED", "RUNNING")


def to_keep(
    sources: Sequence[DevSource], needed: Collection[str], count: int = KEPT
) -> list[DevSource]:
    """Return the versions whose sources are kept. Pure.

    Args:
        sources: Every version, oldest first.
        needed: Versions that a run which is not over names.
        count: How many of the newest are kept in any case.
    """
    newest = sources[max(0, len(sources) - count) :]
    return [source for source in sources if source in newest or source.version in needed]


def remove_old(
    op_id: str, folder: Path, snapshots: Snapshots, client: GyozaClient, engine: Engine
) -> None:
    """Remove the snapshots of old versions, and the images that only they had.

    Args:
        op_id: The op.
        folder: Where its file is.
        snapshots: Where its snapshots are.
        client: Knows the runs.
        engine: Has the images.

    Raises:
        GyozaError: The server does not say which runs are not over.
    """
    file = file_of(folder, op_id)
    sources = read_dev_sources(file)
    if len(sources) <= KEPT:
        return
    needed = {run.op_version or "" for run in client.list_runs(op=op_id, state=_NOT_OVER)}
    kept = to_keep(sources, needed)
    had = [source for source in sources if Path(source.folder).is_dir()]
    snapshots.keep_only({Path(source.folder) for source in kept})
    gone = {source.image_digest for source in had} - {source.image_digest for source in kept}
    for image in gone:
        engine.forget(image)
    write_dev_sources(file, sources[-_ROWS:])

"""Sources that `gyoza dev` puts over an image's own: this machine's own word, never a server's.

A file per op in one folder on this machine says which version of which op sees which folder, and
only for the very image that `gyoza dev` built. The worker looks there only when its own settings
name the folder; nothing that a server sends names a path, or becomes a part of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gyoza.wire.messages import Assignment
from gyoza.worker.execution.failures import StageFailure
from gyoza.worker.runtime.interface import Mount

_ENDING: Final = ".json"


class DevSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one version of an op sees.

    Attributes:
        op: Op id.
        version: Version of it.
        image_digest: The image whose containers may see it, as the version names it.
        folder: Absolute path on this machine; gone once it is no longer kept.
        target: Where containers see it.
    """

    op: str
    version: str
    image_digest: str
    folder: str
    target: str


def source_mounts(folder: Path | None, assignment: Assignment) -> list[Mount]:
    """Return what an attempt sees beside its image: nothing, or its version's sources, read-only.

    Args:
        folder: Where `gyoza dev` keeps its files; None for a worker that it did not start.
        assignment: Names the op, its version and its image.

    Raises:
        StageFailure: The version's sources are no longer kept, or the files cannot be read.
    """
    if folder is None:
        return []
    asked = (assignment.op_definition, assignment.op_version, assignment.image_digest)
    for source in _all_sources(folder):
        if (source.op, source.version, source.image_digest) == asked:
            return [_mount(source)]
    return []


def read_dev_sources(file: Path) -> list[DevSource]:
    """Return what a file says, oldest first; nothing when there is none.

    Raises:
        ValueError: It is no such file.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[DevSource])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise ValueError(f"{file} is not what `gyoza dev` writes: {error}") from error


def write_dev_sources(file: Path, sources: Iterable[DevSource]) -> None:
    """Say what versions see; whoever reads meanwhile sees all of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(list(sources)), indent=1))
    part.replace(file)


def file_of(folder: Path, op_id: str) -> Path:
    """Return the file of an op; called by `gyoza dev` only, with the id of a project's file."""
    return folder / f"{op_id}{_ENDING}"


def _all_sources(folder: Path) -> list[DevSource]:
    try:
        files = sorted(folder.glob(f"[!.]*{_ENDING}"))
        return [source for file in files for source in read_dev_sources(file)]
    except (OSError, ValueError) as error:
        raise StageFailure("WORKER_ERROR", str(error), retryable=False) from error


def _mount(source: DevSource) -> Mount:
    if not Path(source.folder).is_dir():
        raise StageFailure(
            "START_FAILED",
            f"the sources of {source.op} {source.version} are no longer kept in {source.folder};"
            " run the newest version, or save them again while `gyoza dev` watches",
            charged=True,
            retryable=False,
        )
    return Mount(source.folder, source.target)

"""Bringing a run's files to a folder of this machine.

Their names are words of whoever made the image: whatever they say, a file ends inside the folder,
under a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gyoza.cli.exit_codes import ExitCode
from gyoza.cli.failures import CliError
from gyoza.client.files import safe_name
from gyoza.wire.messages import ArtifactRef

if TYPE_CHECKING:
    from gyoza.client import GyozaClient


def files_of(client: GyozaClient, run_id: str) -> list[ArtifactRef]:
    """Return the files that a run left; of a name that several attempts left, the last one's."""
    return list({each.name: each for each in client.run_artifacts(run_id)}.values())


def save_files(
    client: GyozaClient, files: Sequence[ArtifactRef], folder: Path
) -> Iterator[tuple[ArtifactRef, Path]]:
    """Fetch files into a folder, which is made when it is missing.

    Args:
        client: Of the server that has them.
        files: Those.
        folder: A file that an earlier call wrote there is written again.

    Yields:
        Each file with its path, once it is whole and verified.

    Raises:
        CliError: The folder leads somewhere else from the inside, by a link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    for file in files:
        path = _free(folder, safe_name(file.name), written)
        written.add(path)
        _refuse_ways_out(folder, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield file, client.get_artifact(file.sha256, path)


def _free(folder: Path, name: PurePosixPath, written: set[Path]) -> Path:
    """Return where a file goes that takes no other file's place, nor needs it for a folder."""
    folders = {parent for path in written for parent in path.parents}
    path = folder / name
    if not written.isdisjoint(path.parents):
        path = folder / "-".join(name.parts)
    stem, number = path.stem, 2
    while path in written or path in folders:
        path = path.with_name(f"{stem}-{number}{path.suffix}")
        number += 1
    return path


def _refuse_ways_out(folder: Path, path: Path) -> None:
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise CliError(
            f"{path.parent} is a link that leads out of {folder}; nothing was written there",
            ExitCode.INVALID,
            hint="name another folder",
        )
